"""Quantiles and special functions: the one place that imports scipy, behind typed functions."""

from __future__ import annotations

import numpy as np
from scipy import special

from banditd_sim.ope.arrays import Float64


def normal_quantile(q: float) -> float:
    """Return the standard normal's quantile, q in (0, 1)."""
    return float(special.ndtri(q))


def student_t_quantile(q: float, degrees: float) -> float:
    """Return Student t's quantile, q in (0, 1), degrees of freedom > 0."""
    return float(special.stdtrit(degrees, q))


def chi_square_tail(statistic: float, degrees: int) -> float:
    """Return P(X >= statistic) for a chi-square with *degrees* >= 1."""
    return float(special.chdtrc(degrees, statistic))


def log_regular_gamma(a: Float64, x: Float64) -> Float64:
    """Return ln P(a, x), the regularised lower incomplete gamma function, elementwise; a > 0 and x >= a.

    For x far below a it would underflow; from x = a on it is 1/2 or more.
    """
    return np.asarray(np.log(special.gammainc(a, x)), dtype=np.float64)


def stirling_gap(a: Float64) -> Float64:
    """Return a ln a - a - ln Gamma(a), elementwise, a > 0, without cancellation for large a.

    That is ln(a / 2 pi) / 2 minus Stirling's series, which has an error below 1e-15 from a = 16 on with four terms.
    """
    a = np.asarray(a, dtype=np.float64)
    inverse = 1.0 / np.maximum(a, 16.0)
    square = inverse * inverse
    series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)))
    large = 0.5 * np.log(a / (2.0 * np.pi)) - series
    return np.where(a >= 16.0, large, a * np.log(a) - a - special.gammaln(a))
