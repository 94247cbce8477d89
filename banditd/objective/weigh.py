"""The objective and the limits of a request: who breaks a limit, and what the others are worth."""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

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
    shadow_price: float,
    is_budgeted: bool,
    inout_codes: Codes,
    out_eligible: Mask,
    out_utility: Array64,
    latency_deviation: Array64 | None = None,
) -> int:
    """Write reasons and utilities, and return how many models are eligible.

    Where the limits minimise cost, utility is the negative expected cost, and the objective is not read.

    Args:
        prediction: Of one context.
        objective: The trade-off: utility = quality - (usd_weight + shadow price) * cost - second_weight * seconds.
        limits: The limits.
        shadow_price: What the budget adds to a dollar's worth, in quality per USD, >= 0.
        is_budgeted: Whether there is a budget, so that a model of unknown cost is not eligible.
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
        objective.usd_weight + shadow_price,
        second_weight,
        _limit(limits.cost_usd_max, is_budgeted),
        math.inf if limits.latency_ms_max is None else limits.latency_ms_max,
        -math.inf if limits.quality_min is None else limits.quality_min,
        inout_codes,
        out_eligible,
        out_utility,
    )
    if second_weight != objective.second_weight and not limits.minimises_cost:
        out_utility -= (objective.second_weight * 1e-3) * prediction.values[_LATENCY]
    return count


def _limit(cost_usd_max: float | None, is_budgeted: bool) -> float:
    """Return the limit on cost; under a budget there is one, if only that the cost is known."""
    if cost_usd_max is None:
        return _ANY_KNOWN if is_budgeted else math.inf
    return cost_usd_max


# Below infinity, which says that money does not matter, and above any cost.
_ANY_KNOWN: Final = 1e300
_LATENCY: Final = 3
_NORMAL: Final = NormalDist()


@lru_cache(maxsize=256)
def _quantile(percentile: float) -> float:
    """Return the quantile of the standard normal distribution; callers have few percentiles."""
    return _NORMAL.inv_cdf(percentile * 1e-2)
