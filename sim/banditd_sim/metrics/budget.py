"""Budget compliance: how well realised cost kept to the budget, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import Float64, finite_vector
from banditd_sim.metrics.errors import MetricError

# A budget counts as kept again once the trailing mean is within 5 % of it (the bar of ParetoBandit, 2604.00136).
REENTRY_RATIO = 1.05


@dataclass(frozen=True, slots=True)
class Compliance:
    """Figures of one phase.

    Attributes:
        start, stop: Rounds [start, stop).
        budget_usd: Mean cost per round allowed, > 0.
        ratio: Mean cost over budget; 1 is spot on, above is overspent.
        rolling_ratio_largest: Greatest trailing mean of *window* rounds, over budget.
        overshoot_area: Mean over rounds of max(0, trailing mean / budget - 1): how much and how long, in one number.
        reentry_rounds: Rounds from the phase's start until the trailing mean is <= 1.05 budget and stays so to the
            phase's end; 0 if it never was above, None if it ends above.
    """

    start: int
    stop: int
    budget_usd: float
    ratio: float
    rolling_ratio_largest: float
    overshoot_area: float
    reentry_rounds: int | None


def budget_compliance(
    cost_usd: npt.ArrayLike, phases: Sequence[tuple[int, float]], *, window: int = 100
) -> list[Compliance]:
    """Return each phase's compliance.

    Args:
        cost_usd: (n,), realised cost of each round, >= 0.
        phases: Pairs (first round, budget in USD per round), by rising first round; the first is 0. A phase ends where
            the next begins.
        window: Rounds of the trailing mean, >= 1. It starts anew in each phase: after t < *window* rounds of the
            phase it is the mean of these t.

    Raises:
        MetricError: Costs below 0, phases out of order or empty, a budget that is not positive.
    """
    cost = finite_vector("cost_usd", cost_usd)
    if float(cost.min()) < 0.0:
        raise MetricError(f"cost_usd[{int(np.argmin(cost))}]", ">= 0", float(cost.min()))
    if window < 1:
        raise MetricError("window", ">= 1", window)
    starts = [start for start, _ in phases]
    if not starts or starts[0] != 0 or sorted(set(starts)) != starts or starts[-1] >= cost.size:
        raise MetricError("phases", f"first rounds rising from 0, below {cost.size}", starts)
    stops = [*starts[1:], cost.size]
    return [
        _compliance(cost[start:stop], start, stop, budget, window)
        for (start, budget), stop in zip(phases, stops, strict=True)
    ]


def trailing_mean(values: npt.ArrayLike, window: int) -> Float64:
    """Return the mean (n,) of the last *window* values up to each; of all so far while there are fewer."""
    v = finite_vector("values", values)
    if window < 1:
        raise MetricError("window", ">= 1", window)
    total = np.concatenate([[0.0], np.cumsum(v)])
    last = np.arange(1, v.size + 1)
    first = np.maximum(last - window, 0)
    return np.asarray((total[last] - total[first]) / (last - first))


def _compliance(cost: Float64, start: int, stop: int, budget: float, window: int) -> Compliance:
    if not budget > 0.0:
        raise MetricError("phases", "budgets > 0", budget)
    rolling = trailing_mean(cost, window) / budget
    above = np.flatnonzero(rolling > REENTRY_RATIO)
    reentry: int | None = int(above[-1]) + 1 if above.size else 0
    if reentry == cost.size:
        reentry = None
    return Compliance(
        start=start,
        stop=stop,
        budget_usd=budget,
        ratio=float(cost.mean()) / budget,
        rolling_ratio_largest=float(rolling.max()),
        overshoot_area=float(np.maximum(rolling - 1.0, 0.0).mean()),
        reentry_rounds=reentry,
    )
