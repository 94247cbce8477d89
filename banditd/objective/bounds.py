"""The limits of a request in numbers."""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from banditd.domain.arrays import Array64, Codes
from banditd.domain.decision import NO_LIMITS, Limits
from banditd.kernels.terms import exclude_slow

# Largest expected cost, largest latency, least expected quality.
Bounds = tuple[float, float, float]


def bounds_of(limits: Limits, *, is_budgeted: bool) -> Bounds:
    """Return the limits; under a budget there is one on the cost, if only that it is known.

    A limit on a percentile of the latency is none on its expectation: see `leave_out_slow`.
    """
    if limits is NO_LIMITS:
        return _BUDGETED if is_budgeted else _FREE
    cost_usd_max = limits.cost_usd_max
    if cost_usd_max is None:
        cost_usd_max = _ANY_KNOWN if is_budgeted else math.inf
    return (
        cost_usd_max,
        math.inf if limits.latency_ms_max is None or limits.latency_percentile is not None else limits.latency_ms_max,
        -math.inf if limits.quality_min is None else limits.quality_min,
    )


def leave_out_slow(limits: Limits, values: Array64, half_variance: Array64, inout_codes: Codes) -> None:
    """Leave out whose percentile of the latency is above its limit.

    Args:
        limits: With a percentile.
        values: Shape (4, K): what is expected.
        half_variance: Shape (K,), half the variance of a log latency.
        inout_codes: Shape (K,), reasons of exclusion; one that is there already stays.
    """
    assert limits.latency_percentile is not None
    if limits.latency_ms_max is not None:
        exclude_slow(values, half_variance, _quantile(limits.latency_percentile), limits.latency_ms_max, inout_codes)


# Below infinity, which says that money does not matter, and above any cost.
_ANY_KNOWN: Final = 1e300
_FREE: Final[Bounds] = (math.inf, math.inf, -math.inf)
_BUDGETED: Final[Bounds] = (_ANY_KNOWN, math.inf, -math.inf)
_NORMAL: Final = NormalDist()


@lru_cache(maxsize=256)
def _quantile(percentile: float) -> float:
    """Return the quantile of the standard normal distribution; callers have few percentiles."""
    return _NORMAL.inv_cdf(percentile * 1e-2)
