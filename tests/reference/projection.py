"""Twins of the kernels in ``projection.py``: matrix products in float64."""

import numpy as np


def project(embedding, centre, basis, length, row_norm_max, out_row):
    """One embedding."""
    z = (embedding.view(np.float16).astype(float) - centre.astype(float)) @ basis.astype(float)
    norm = np.linalg.norm(z)
    z = z * (row_norm_max / norm) if norm > row_norm_max else z
    z = z.astype(np.float32)
    z[np.abs(z) < np.finfo(np.float32).smallest_normal] = 0.0
    out_row[: 2 + len(z)] = [1.0, length, *z]


def project_rows(embedding, centre, basis, length, row_norm_max, out_row):
    """One by one."""
    for bits, of_prompt, row in zip(embedding, length, out_row, strict=True):
        project(bits, centre, basis, of_prompt, row_norm_max, row)


def fourier(z, omega, phase, out):
    """One context."""
    out[:] = np.sqrt(2 / len(out)) * np.cos(z.astype(float) @ omega.astype(float) + phase)


def fourier_rows(z, omega, phase, out):
    """All at once."""
    out[:] = np.sqrt(2 / out.shape[1]) * np.cos(z.astype(float) @ omega.astype(float) + phase)
