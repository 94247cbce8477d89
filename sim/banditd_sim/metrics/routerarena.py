"""RouterArena's score: accuracy and cost in one number."""

from __future__ import annotations

import math

from banditd_sim.metrics.errors import MetricError

# The scale's ends in USD per 1,000 queries, and the weight of cost against accuracy (RouterArena, arXiv:2510.00202).
_COST_MAX_USD = 200.0
_COST_MIN_USD = 0.0044
_BETA = 0.1


def routerarena_score(accuracy: float, cost_usd_per_1000: float) -> float:
    """Return S = (1 + b) A C / (b A + C), b = 0.1, with C = (log2 200 - log2 c) / (log2 200 - log2 0.0044).

    c is the cost in USD per 1,000 queries, clamped to [0.0044, 200]. 0 if both accuracy and C are 0.

    Args:
        accuracy: In [0, 1].
        cost_usd_per_1000: >= 0.
    """
    if not 0.0 <= accuracy <= 1.0:
        raise MetricError("accuracy", "in [0, 1]", accuracy)
    if not cost_usd_per_1000 >= 0.0:
        raise MetricError("cost_usd_per_1000", ">= 0", cost_usd_per_1000)
    clamped = min(max(cost_usd_per_1000, _COST_MIN_USD), _COST_MAX_USD)
    cheapness = (math.log2(_COST_MAX_USD) - math.log2(clamped)) / (math.log2(_COST_MAX_USD) - math.log2(_COST_MIN_USD))
    bottom = _BETA * accuracy + cheapness
    return (1.0 + _BETA) * accuracy * cheapness / bottom if bottom > 0.0 else 0.0
