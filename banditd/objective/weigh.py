"""The objective and the limits of a request: who breaks a limit, and what the others are worth."""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from banditd.domain.arrays import Array64, Codes, Mask
from banditd.domain.decision import Limits, Objective
from banditd.kernels import decision
from banditd.kernels.terms import to_quantiles
from banditd.policies.base import Prediction


def weigh(
    prediction: Prediction,
    objective: Objective,
    limits: Limits,
    inout_codes: Codes,
    out_eligible: Mask,
    out_utility: Array64,
    latency_deviation: Array64 | None = None,
) -> int:
    """Write reasons and utilities, and return how many models are eligible.

    Where the limits minimise cost, utility is the negative expected cost, and the objective is not read.

    Args:
        prediction: Of one context.
        objective: The trade-off: utility = quality - usd_weight * cost - second_weight * latency in seconds.
        limits: The limits.
        inout_codes: Shape (K,), values of `Exclusion`; a reason that is there already stays.
        out_eligible: Shape (K,), written.
        out_utility: Shape (K,), written; anything where not eligible.
        latency_deviation: Shape (K,), standard deviation of a log latency; needed where a percentile is limited.
    """
    values, second_weight = prediction.values, objective.second_weight
    if limits.latency_percentile is not None:
        assert latency_deviation is not None
        # The limit is on the percentile, what a second is worth on the expectation.
        values = np.empty_like(values)
        to_quantiles(prediction.values, latency_deviation, _quantile(limits.latency_percentile), values)
        second_weight = 0.0
    count = decision.weigh(
        values,
        objective.usd_weight,
        second_weight,
        math.inf if limits.cost_usd_max is None else limits.cost_usd_max,
        math.inf if limits.latency_ms_max is None else limits.latency_ms_max,
        -math.inf if limits.quality_min is None else limits.quality_min,
        inout_codes,
        out_eligible,
        out_utility,
    )
    if second_weight != objective.second_weight and not limits.minimises_cost:
        out_utility -= (objective.second_weight * 1e-3) * prediction.values[_LATENCY]
    return count


_LATENCY = 3
_NORMAL = NormalDist()


@lru_cache(maxsize=256)
def _quantile(percentile: float) -> float:
    """Return the quantile of the standard normal distribution; callers have few percentiles."""
    return _NORMAL.inv_cdf(percentile * 1e-2)
