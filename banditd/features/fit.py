"""Fits encodings: the seeded start, and principal components of what the router has seen."""

import hashlib
from typing import Final

import numpy as np

from banditd.domain.arrays import Array16, Array32, Array64
from banditd.features.spec import FeatureKind, FeatureSpec

PROJECTED_MAX: Final = 64
FOURIER_COUNT: Final = 128
# A projected row has length 1 on average; one prompt may count like sixteen average ones, not like a million.
ROW_NORM_MAX: Final = 4.0
# Oversampling and power iterations of the randomised range finder, after Halko et al. 2011, sections 4.2 and 4.5.
_OVERSAMPLING: Final = 16
_POWER_ITERATIONS: Final = 4
# Fewer points than this give an unreliable median distance.
_MEDIAN_POINTS: Final = 512


def seed_of(name: str) -> int:
    """Return a 64-bit seed that depends on *name* alone, so that equal routers start equal everywhere."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def intercept_spec(input_dimension: int) -> FeatureSpec:
    """Return the encoding that looks at nothing: the context-free belief."""
    empty = np.zeros((0, 0), np.float32)
    return FeatureSpec(
        kind=FeatureKind.INTERCEPT_ONLY,
        centre=np.zeros(input_dimension, np.float32),
        basis=np.zeros((input_dimension, 0), np.float32),
        row_norm_max=ROW_NORM_MAX,
        omega=empty,
        phase=np.zeros(0, np.float32),
    )


def seeded_spec(kind: FeatureKind, input_dimension: int, seed: int) -> FeatureSpec:
    """Return the encoding before anything was seen: a random orthogonal projection, uncentred.

    Args:
        kind: What the row is to hold.
        input_dimension: Values in an embedding, 2..4096.
        seed: Chooses the directions.

    Projecting onto D random directions shortens a vector by sqrt(D / Din) on average; the scale makes up for it.
    """
    if kind is FeatureKind.INTERCEPT_ONLY:
        return intercept_spec(input_dimension)
    rng = np.random.Generator(np.random.PCG64(seed))
    width = min(PROJECTED_MAX, input_dimension)
    basis = np.linalg.qr(rng.standard_normal((input_dimension, width)))[0] * np.sqrt(input_dimension / width)
    return _with_fourier(kind, np.zeros(input_dimension), basis, 1.0, rng)


def fit_spec(kind: FeatureKind, embeddings: Array16, seed: int) -> FeatureSpec:
    """Return an encoding by the principal components of *embeddings*, centred, with rows of length 1 on average.

    Args:
        kind: What the row is to hold; not INTERCEPT_ONLY.
        embeddings: Shape (n, Din), n >= 2.
        seed: Of the randomised range finder and the Fourier frequencies.

    The components come from a randomised range finder (Halko, Martinsson and Tropp 2011, algorithm 4.4), which takes
    less than a second for 4,096 prompts of 4,096 values, where a full decomposition takes a minute.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    x = embeddings.astype(np.float64)
    centre = x.mean(axis=0)
    x -= centre
    width = min(PROJECTED_MAX, x.shape[1])
    probes = min(width + _OVERSAMPLING, x.shape[1])
    q = np.linalg.qr(rng.standard_normal((x.shape[1], probes)))[0]
    for _ in range(_POWER_ITERATIONS):
        q = np.linalg.qr(x.T @ (x @ q))[0]
    _, _, right = np.linalg.svd(x @ q, full_matrices=False)
    basis = (q @ right.T)[:, :width]
    projected = x @ basis
    mean_square = float(np.mean(np.sum(projected * projected, axis=1)))
    # All prompts alike: there is nothing to scale by, and every row is zero whatever the scale.
    scale = 1.0 / np.sqrt(mean_square) if mean_square > 0.0 else 1.0
    bandwidth = _median_distance(projected * scale) / np.sqrt(2.0) if kind is FeatureKind.FOURIER else 1.0
    return _with_fourier(kind, centre, basis * scale, bandwidth, rng)


def _with_fourier(
    kind: FeatureKind, centre: Array64, basis: Array64, bandwidth: float, rng: np.random.Generator
) -> FeatureSpec:
    """Finish a spec; draws Fourier frequencies for a Gaussian kernel of *bandwidth* (Rahimi and Recht 2007)."""
    width = basis.shape[1]
    count = FOURIER_COUNT if kind is FeatureKind.FOURIER else 0
    return FeatureSpec(
        kind=kind,
        centre=_contiguous(centre),
        basis=_contiguous(basis),
        row_norm_max=ROW_NORM_MAX,
        omega=_contiguous(rng.standard_normal((width, count)) / bandwidth),
        phase=_contiguous(rng.uniform(0.0, 2.0 * np.pi, count)),
    )


def _contiguous(array: Array64) -> Array32:
    return np.ascontiguousarray(array, np.float32)


def _median_distance(rows: Array64) -> float:
    """Return the median distance between rows: the usual bandwidth of a Gaussian kernel."""
    some = rows[:: max(1, len(rows) // _MEDIAN_POINTS)][:_MEDIAN_POINTS]
    squares = np.sum(some * some, axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2.0 * some @ some.T, 0.0))
    median = float(np.median(distances[np.triu_indices(len(some), 1)]))
    return median if median > 0.0 else 1.0
