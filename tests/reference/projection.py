"""Twins of the kernels in ``projection.py``: matrix products in float64."""

import numpy as np


def project(x, centre, basis, scale, row_norm_max, out):
    """One embedding."""
    z = (x.astype(float) - centre.astype(float)) @ basis.astype(float) * scale
    norm = np.linalg.norm(z)
    z = z * (row_norm_max / norm) if norm > row_norm_max else z
    z = z.astype(np.float32)
    z[np.abs(z) < np.finfo(np.float32).smallest_normal] = 0.0
    out[:] = z


def project_rows(x, centre, basis, scale, row_norm_max, out):
    """One by one."""
    for row, out_row in zip(x, out, strict=True):
        project(row, centre, basis, scale, row_norm_max, out_row)


def fourier(z, omega, phase, out):
    """One context."""
    out[:] = np.sqrt(2 / len(out)) * np.cos(z.astype(float) @ omega.astype(float) + phase)


def fourier_rows(z, omega, phase, out):
    """All at once."""
    out[:] = np.sqrt(2 / out.shape[1]) * np.cos(z.astype(float) @ omega.astype(float) + phase)
