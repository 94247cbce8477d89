"""Centre, project and bound an embedding; random Fourier features of the result."""

import math

import numpy as np

from banditd.kernels._jit import Array32, Array64, Bits16, array, f32, f64, helper, kernel, u16
from banditd.kernels.elementary import cosine
from banditd.kernels.half import from_half

# Below it a float32 is subnormal, and arithmetic on such numbers is many times slower.
_SMALLEST_NORMAL = 1.1754943508222875e-38


@helper
def _bound(
    row_norm_max: float,
    out: Array32,  # (D,) changed
) -> None:
    """Shrink out to the norm row_norm_max if it is longer, and flush subnormal numbers to zero."""
    norm_sq = 0.0
    for j in range(out.shape[0]):
        norm_sq += np.float64(out[j]) * np.float64(out[j])
    norm = math.sqrt(norm_sq)
    factor = row_norm_max / norm if norm > row_norm_max else 1.0
    for j in range(out.shape[0]):
        value = np.float64(out[j]) * factor
        # Written so that nan, for which every comparison is false, is kept.
        out[j] = np.float32(0.0 if math.fabs(value) < _SMALLEST_NORMAL else value)


@helper
def _project(
    embedding: Bits16,  # (E,)
    centre: Array32,  # (E,)
    basis: Array32,  # (E, D)
    length: float,
    row_norm_max: float,
    scratch: Array32,  # (E,) overwritten
    out_row: Array32,  # (W,) its first D + 2 values are written
) -> None:
    x = scratch
    n = x.shape[0]
    for i in range(n):
        x[i] = from_half(embedding[i]) - centre[i]
    out_row[0] = np.float32(1.0)
    out_row[1] = np.float32(length)
    out = out_row[2 : 2 + basis.shape[1]]
    n_by_four = n - n % 4
    for j in range(out.shape[0]):
        out[j] = np.float32(0.0)
    # Four rows of the basis at once save loads and stores of the sums; each still runs from the first row to the last.
    for i in range(0, n_by_four, 4):
        row_0 = basis[i]
        row_1 = basis[i + 1]
        row_2 = basis[i + 2]
        row_3 = basis[i + 3]
        x_0 = x[i]
        x_1 = x[i + 1]
        x_2 = x[i + 2]
        x_3 = x[i + 3]
        for j in range(out.shape[0]):
            out[j] = (((out[j] + x_0 * row_0[j]) + x_1 * row_1[j]) + x_2 * row_2[j]) + x_3 * row_3[j]
    for i in range(n_by_four, n):
        row_0 = basis[i]
        x_0 = x[i]
        for j in range(out.shape[0]):
            out[j] += x_0 * row_0[j]
    _bound(row_norm_max, out)


@kernel(array(u16, "E"), array(f32, "E"), array(f32, "ED"), f64, f64, array(f32, "W", out=True))
def project(
    embedding: Bits16,  # (E,) float16
    centre: Array32,  # (E,) mean embedding
    basis: Array32,  # (E, D) columns to project on
    length: float,  # of the prompt, scaled
    row_norm_max: float,  # longest projection, > 0
    out_row: Array32,  # (W,) its first D + 2 values are written
) -> None:
    """Write 1, the length, and (x - centre) @ basis, shrunk to norm row_norm_max (within 1e-6 of it) if it is longer.

    The bound limits the leverage that one strange prompt has over a regression. A non-finite embedding gives
    non-finite values.
    """
    scratch = np.empty(embedding.shape[0], np.float32)
    _project(embedding, centre, basis, length, row_norm_max, scratch, out_row)


@kernel(array(u16, "BE"), array(f32, "E"), array(f32, "ED"), array(f64, "B"), f64, array(f32, "BW", out=True))
def project_rows(
    embedding: Bits16,  # (B, E) float16
    centre: Array32,  # (E,) mean embedding
    basis: Array32,  # (E, D) columns to project on
    length: Array64,  # (B,) of the prompts, scaled
    row_norm_max: float,  # longest projection, > 0
    out_row: Array32,  # (B, W) written
) -> None:
    """Write `project` of each embedding, bit for bit.

    One after the other. Blocks of the basis applied to the whole batch, and the batch as innermost axis, were tried
    and are not faster: the additions are what takes the time.
    """
    scratch = np.empty(embedding.shape[1], np.float32)
    for b in range(embedding.shape[0]):
        _project(embedding[b], centre, basis, length[b], row_norm_max, scratch, out_row[b])


@helper
def _fourier(
    z: Array32,  # (D,)
    omega: Array32,  # (D, R)
    phase: Array32,  # (R,)
    out: Array32,  # (R,) written
) -> None:
    features = out.shape[0]
    for j in range(features):
        out[j] = np.float32(0.0)
    for i in range(z.shape[0]):
        row = omega[i]
        z_i = z[i]
        for j in range(features):
            out[j] += z_i * row[j]
    amplitude = math.sqrt(2.0 / features)
    for j in range(features):
        out[j] = np.float32(amplitude * cosine(np.float64(out[j]) + np.float64(phase[j])))


@kernel(array(f32, "D"), array(f32, "DR"), array(f32, "R"), array(f32, "R", out=True))
def fourier(
    z: Array32,  # (D,) projected context
    omega: Array32,  # (D, R) frequencies, normal with the inverse bandwidth as standard deviation
    phase: Array32,  # (R,) uniform in [0, 2 pi)
    out: Array32,  # (R,) written
) -> None:
    """Write sqrt(2 / R) cos(z @ omega + phase), whose inner products approximate a Gaussian kernel.

    Rahimi & Recht 2007, Random Features for Large-Scale Kernel Machines, Algorithm 1.
    """
    _fourier(z, omega, phase, out)


@kernel(array(f32, "BD"), array(f32, "DR"), array(f32, "R"), array(f32, "BR", out=True))
def fourier_rows(
    z: Array32,  # (B, D) projected contexts
    omega: Array32,  # (D, R) frequencies
    phase: Array32,  # (R,) uniform in [0, 2 pi)
    out: Array32,  # (B, R) written
) -> None:
    """Write `fourier` of each context, bit for bit."""
    for b in range(z.shape[0]):
        _fourier(z[b], omega, phase, out[b])
