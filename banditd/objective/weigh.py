"""The objective and the limits of a request: who breaks a limit, and what the others are worth."""

import math
from typing import Final

from banditd.domain.arrays import Array64, Codes, Mask
from banditd.domain.decision import Limits, Objective
from banditd.kernels import decision
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
) -> int:
    """Write reasons and utilities, and return how many models are eligible.

    Args:
        prediction: Of one context.
        objective: The trade-off: utility = quality - (usd_weight + shadow price) * cost - second_weight * seconds.
        limits: The limits.
        shadow_price: What the budget adds to a dollar's worth, in quality per USD, >= 0.
        is_budgeted: Whether there is a budget, so that a model of unknown cost is not eligible.
        inout_codes: Shape (K,), values of `Exclusion`; a reason that is there already stays.
        out_eligible: Shape (K,), written.
        out_utility: Shape (K,), written; anything where not eligible.
    """
    return decision.weigh(
        prediction.values,
        objective.usd_weight + shadow_price,
        objective.second_weight,
        _limit(limits.cost_usd_max, is_budgeted),
        math.inf if limits.latency_ms_max is None else limits.latency_ms_max,
        -math.inf if limits.quality_min is None else limits.quality_min,
        inout_codes,
        out_eligible,
        out_utility,
    )


def _limit(cost_usd_max: float | None, is_budgeted: bool) -> float:
    """Return the limit on cost; under a budget there is one, if only that the cost is known."""
    if cost_usd_max is None:
        return _ANY_KNOWN if is_budgeted else math.inf
    return cost_usd_max


# Below infinity, which says that money does not matter, and above any cost.
_ANY_KNOWN: Final = 1e300
