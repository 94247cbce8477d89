"""The objective and the limits of a request: who breaks a limit, and what the others are worth."""

import math

from banditd.domain.arrays import Array64, Codes, Mask
from banditd.domain.decision import Limits, Objective
from banditd.kernels import decision
from banditd.policies.base import Prediction


def weigh(
    prediction: Prediction,
    objective: Objective,
    limits: Limits,
    inout_codes: Codes,
    out_eligible: Mask,
    out_utility: Array64,
) -> int:
    """Write reasons and utilities, and return how many models are eligible.

    Args:
        prediction: Of one context.
        objective: The trade-off: utility = quality - usd_weight * cost - second_weight * latency in seconds.
        limits: The limits.
        inout_codes: Shape (K,), values of `Exclusion`; a reason that is there already stays.
        out_eligible: Shape (K,), written.
        out_utility: Shape (K,), written; anything where not eligible.
    """
    return decision.weigh(
        prediction.values,
        objective.usd_weight,
        objective.second_weight,
        math.inf if limits.cost_usd_max is None else limits.cost_usd_max,
        math.inf if limits.latency_ms_max is None else limits.latency_ms_max,
        -math.inf if limits.quality_min is None else limits.quality_min,
        inout_codes,
        out_eligible,
        out_utility,
    )
