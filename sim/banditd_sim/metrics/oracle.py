"""The Lagrangian oracle: the best quality that any per-prompt choice can have at a given mean cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import Float64, Int64, same_length, table
from banditd_sim.metrics.errors import MetricError


@dataclass(frozen=True, slots=True)
class Frontier:
    """Mean cost against mean quality of the Lagrangian oracle: concave, non-decreasing, piecewise linear.

    Attributes:
        cost: (m,), increasing, from the cheapest choice for every prompt on.
        quality: (m,), non-decreasing.
    """

    cost: Float64
    quality: Float64


def lagrangian_frontier(quality: npt.ArrayLike, cost: npt.ArrayLike) -> Frontier:
    """Return the whole frontier max { mean_t q(t, k_t) : mean_t c(t, k_t) <= B } over all budgets B.

    The maximisers are k_t = argmax_k q(t, k) - lambda c(t, k) for some price lambda >= 0, where two prices meet mixed
    at random to spend exactly B: the linear relaxation of the multiple-choice knapsack (Sinha and Zoltners, Operations
    Research 27 (1979)). Each prompt starts with its cheapest model and climbs its own upper concave hull; all steps
    of all prompts are taken in order of quality gained per dollar. No policy with that mean cost does better, in
    expectation over its own randomness.

    Args:
        quality: (n, K), nan where a model was not measured.
        cost: (n, K), >= 0, nan in the same places.
    """
    q, c = table("quality", quality), table("cost", cost)
    same_length(quality=q, cost=c)
    if q.shape != c.shape or bool((np.isnan(q) != np.isnan(c)).any()):
        raise MetricError("cost", "nan exactly where quality is nan", "other gaps")
    if float(np.nanmin(c)) < 0.0:
        raise MetricError("cost", ">= 0", float(np.nanmin(c)))
    n = q.shape[0]
    at = _start(q, c)
    rows = np.arange(n)
    start_cost, start_quality = float(c[rows, at].sum()), float(q[rows, at].sum())
    step_cost, step_quality = [np.zeros(0)], [np.zeros(0)]
    while rows.size:
        rise = q[rows] - q[rows, at[rows]][:, None]
        run = c[rows] - c[rows, at[rows]][:, None]
        better = (rise > 0.0) & (run > 0.0)
        slope = np.divide(rise, run, out=np.full(rise.shape, -1.0), where=better)
        best = slope.max(axis=1, initial=-1.0)
        # Of models on one line the farthest is taken: the ones between are mixtures.
        reach = np.where((slope >= best[:, None]) & better, run, -1.0)
        target = np.argmax(reach, axis=1)
        going = best > 0.0
        rows, target = rows[going], target[going]
        step_cost.append(run[going, target])
        step_quality.append(rise[going, target])
        at[rows] = target
    runs, rises = np.concatenate(step_cost), np.concatenate(step_quality)
    order = np.argsort(-rises / runs, kind="stable") if runs.size else np.zeros(0, dtype=np.int64)
    total_cost = start_cost + np.concatenate([[0.0], np.cumsum(runs[order])])
    total_quality = start_quality + np.concatenate([[0.0], np.cumsum(rises[order])])
    return Frontier(total_cost / n, total_quality / n)


def oracle_quality(frontier: Frontier, cost: float) -> float:
    """Return the frontier's quality at a mean cost; constant beyond its end, nan below its start (nothing is so cheap).

    A cost that is below the start by rounding alone (one part in 10^9) counts as the start.
    """
    if cost < frontier.cost[0] * (1.0 - 1e-9):
        return float("nan")
    return float(np.interp(cost, frontier.cost, frontier.quality))


def _start(q: Float64, c: Float64) -> Int64:
    """Return each prompt's cheapest model, of several the best."""
    filled = np.where(np.isnan(c), np.inf, c)
    cheapest = filled <= filled.min(axis=1, keepdims=True)
    return np.asarray(np.argmax(np.where(cheapest, q, -np.inf), axis=1), dtype=np.int64)
