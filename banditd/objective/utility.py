"""Utility: quality less what cost and latency are worth."""

from banditd.domain.arrays import Array64
from banditd.domain.decision import Objective
from banditd.policies.base import Prediction


def utility(prediction: Prediction, objective: Objective) -> Array64:
    """Return quality - usd_weight * cost - second_weight * latency in seconds, of the prediction's shape.

    Unknown costs (NaN) are not touched where a dollar is worth nothing; where it is worth something, models of unknown
    cost have been excluded.
    """
    value = prediction.quality
    if objective.usd_weight > 0.0:
        value = value - objective.usd_weight * prediction.cost_usd
    if objective.second_weight > 0.0:
        value = value - (objective.second_weight * 1e-3) * prediction.latency_ms
    return value
