"""Twin of the kernel in ``thompson.py``: brute force in logarithms over every model's own grid, merged."""

import numpy as np
from scipy.special import log_ndtr

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)


def probability_best(mean, sd, eligible, out_pmf):
    """Integrate phi_a times the product of all other Phi_b, for each a, with no cut-off but ten standard deviations."""
    out_pmf[:] = 0.0
    # Differences before scaling, in extended precision: means may be large and close.
    m = mean[eligible].astype(np.longdouble)
    s = sd[eligible].astype(np.longdouble)
    m = m - m[np.argmax(m)]
    unit = max(np.abs(m).max(), s.max()) or 1.0
    m, s = m / unit, s / unit
    points = s == 0.0
    spread = np.flatnonzero(~points)
    share = np.zeros(len(m))
    floor = m[points].max() if points.any() else -np.inf
    if len(spread):
        steps = np.linspace(-10, 10, 41)
        edges = (m[spread, None] + s[spread, None] * steps).ravel()
        edges = np.unique(np.append(edges[edges > floor], floor if points.any() else []))
        half = np.diff(edges)[:, None] / 2
        z = (edges[:-1, None] + half * (1 + _NODES)).ravel()
        weight = (half * _WEIGHTS).ravel()
        score = ((z - m[spread, None]) / s[spread, None]).astype(float)
        log_cdf = log_ndtr(score)
        log_density = -0.5 * score**2 - 0.5 * np.log(2 * np.pi) - np.log(s[spread, None]).astype(float)
        total = log_cdf.sum(axis=0)
        share[spread] = (np.exp(log_density - log_cdf + total) * weight.astype(float)).sum(axis=1)
    if points.any():
        first = points & (m == floor)
        score = ((floor - m[spread]) / s[spread]).astype(float)
        share[first] = np.exp(log_ndtr(score).sum()) / first.sum()
    out_pmf[eligible] = share
