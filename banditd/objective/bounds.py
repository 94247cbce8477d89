"""The limits of a request in numbers."""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np

from banditd.domain.arrays import Array64
from banditd.domain.decision import NO_LIMITS, Limits
from banditd.kernels.terms import to_quantiles

# Largest expected cost, largest latency, least expected quality.
Bounds = tuple[float, float, float]


def bounds_of(limits: Limits, *, is_budgeted: bool) -> Bounds:
    """Return the limits; under a budget there is one on the cost, if only that it is known."""
    if limits is NO_LIMITS:
        return _BUDGETED if is_budgeted else _FREE
    cost_usd_max = limits.cost_usd_max
    if cost_usd_max is None:
        cost_usd_max = _ANY_KNOWN if is_budgeted else math.inf
    return (
        cost_usd_max,
        math.inf if limits.latency_ms_max is None else limits.latency_ms_max,
        -math.inf if limits.quality_min is None else limits.quality_min,
    )


def latency_quantiles(values: Array64, deviation: Array64, percentile: float) -> Array64:
    """Return a percentile of each latency, shape (K,).

    Args:
        values: Shape (4, K): what is expected.
        deviation: Shape (K,), standard deviation of a log latency.
        percentile: In (0, 100).
    """
    quantiles = np.empty_like(values)
    to_quantiles(values, deviation, _quantile(percentile), quantiles)
    limited: Array64 = quantiles[_LATENCY]
    return limited


# Below infinity, which says that money does not matter, and above any cost.
_ANY_KNOWN: Final = 1e300
_FREE: Final[Bounds] = (math.inf, math.inf, -math.inf)
_BUDGETED: Final[Bounds] = (_ANY_KNOWN, math.inf, -math.inf)
_LATENCY: Final = 3
_NORMAL: Final = NormalDist()


@lru_cache(maxsize=256)
def _quantile(percentile: float) -> float:
    """Return the quantile of the standard normal distribution; callers have few percentiles."""
    return _NORMAL.inv_cdf(percentile * 1e-2)
