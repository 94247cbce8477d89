"""Measure: the figures of one seed, from its rounds and from what every choice would have given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from banditd_sim.environments.arena import Arena
from banditd_sim.environments.mixes import constant_outcomes, measured_hull
from banditd_sim.environments.rounds import Rounds
from banditd_sim.environments.world import World
from banditd_sim.metrics import (
    adoption_rounds,
    best_category_table,
    constant_points,
    fixed_mix_hull,
    gain_over_chosen_mix,
    hull_quality,
    hull_to_oracle_share,
    lagrangian_frontier,
    oracle_quality,
    recovery_rounds,
    routerarena_score,
)
from banditd_sim.ope.arrays import Float64, Int64

# Share of the prompts that a new model must have to count as adopted: more than exploration gives it, less than the
# share that a model gets which is best on some prompts only.
_ADOPTED_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What a run is held against.

    Attributes:
        usd_weight: What a dollar is worth.
        second_weight: What a second is worth.
        budget_usd: None for none.
        history: Int64, rows whose fixed mixes one would have chosen from; empty where there is no history.
    """

    usd_weight: float
    second_weight: float
    budget_usd: float | None
    history: Int64


@dataclass(frozen=True, slots=True)
class Measured:
    """One seed's figures.

    Attributes:
        figures: JSON values by name, of the measured rounds.
        regret: Float64 (m,), per measured round: the best utility that could be had minus the received one, >= 0.
    """

    figures: dict[str, Any]
    regret: Float64


def measure(world: World, rounds: Rounds, yardstick: Yardstick) -> Measured:
    """Return the figures of the measured rounds.

    In the hull, where a model is not in the catalogue, the cheapest that is stands in for it; regrets are against
    models that were there in every measured round, if there are any. Below the cheapest model's cost, where there is no
    mix, the hull counts with that model's quality.
    """
    at = rounds.measured
    quality, cost = (values[at] for values in world.outcomes)
    q, c = rounds.quality[at], rounds.cost_usd[at]
    mean_q, mean_c = float(q.mean()), float(c.mean())
    latency = rounds.latency_ms[at]
    utility = _utility(world, yardstick, quality, cost, at)
    received = q - yardstick.usd_weight * c - yardstick.second_weight * 1e-3 * np.nan_to_num(latency)
    lasting = np.flatnonzero(world.scenario.present.all(axis=0) & np.isfinite(quality).any(axis=0))
    constant_quality, constant_cost = constant_outcomes(world, at)
    known = np.flatnonzero(np.isfinite(constant_quality).any(axis=0))
    point_cost, point_quality = constant_points(constant_quality[:, known], constant_cost[:, known])
    hull = fixed_mix_hull(point_cost, point_quality)
    base = hull_quality(hull, max(mean_c, float(hull.cost[0])))
    frontier = lagrangian_frontier(quality, cost)
    reachable = oracle_quality(frontier, max(mean_c, float(frontier.cost[0])))
    budget = _budgets(world, yardstick, at)
    best = _best_constant(point_quality, point_cost, yardstick)
    regret = np.nanmax(utility, axis=1) - received
    category = world.arena.category[world.rows[at]]
    figures = {
        "rounds": len(q),
        "quality": mean_q,
        "cost_usd": mean_c,
        "utility": float(received.mean()),
        "latency_ms": _mean_or_none(latency),
        "failed_share": float(rounds.failed[at].mean()),
        "hull_quality": base,
        "gain_over_hull": mean_q - base,
        "gain_over_chosen_mix": _chosen_gain(world.arena, yardstick, known, point_cost, point_quality, mean_c, mean_q),
        "oracle_quality_at_cost": reachable,
        "hull_to_oracle_share": _finite(
            hull_to_oracle_share(hull, cost=max(mean_c, float(hull.cost[0])), quality=mean_q, oracle_quality=reachable)
        ),
        "best_constant_model": world.arena.model_ids[int(known[best])],
        "best_constant_quality": float(point_quality[best]),
        "best_constant_cost_usd": float(point_cost[best]),
        "constants": {
            world.arena.model_ids[k]: (float(at_cost), float(with_quality))
            for k, at_cost, with_quality in zip(known.tolist(), point_cost, point_quality, strict=True)
        },
        "routerarena_score": routerarena_score(min(max(mean_q, 0.0), 1.0), 1000.0 * mean_c),
        "regret_oracle": float(regret.sum()),
        "regret_oracle_at_budget": None
        if budget is None
        else len(q) * (oracle_quality(frontier, max(float(budget.mean()), float(frontier.cost[0]))) - mean_q),
        "regret_constant": _constant_regret(utility[:, lasting], received),
        "regret_category": _category_regret(utility[:, lasting], received, category),
        "budget_ratio": None if budget is None else mean_c / float(budget.mean()),
        "shares": _shares(world, rounds.model[at].astype(np.int64)),
        "phases": _phases(world, rounds, utility, cost, received, budget),
        "seconds": rounds.seconds if np.isfinite(rounds.seconds) else None,
        "played_rounds": len(rounds),
    }
    return Measured(figures, regret)


def _utility(world: World, yardstick: Yardstick, quality: Float64, cost: Float64, at: slice) -> Float64:
    utility = quality - yardstick.usd_weight * cost
    if yardstick.second_weight > 0.0:
        utility = utility - yardstick.second_weight * 1e-3 * np.nan_to_num(world.arena.latency_ms[world.rows[at]])
    return utility


def _budgets(world: World, yardstick: Yardstick, at: slice) -> Float64 | None:
    """Return the budget in force in each measured round."""
    if yardstick.budget_usd is None:
        return None
    return np.asarray(yardstick.budget_usd * world.scenario.budget_factor[world.segment[at]])


def _best_constant(quality: Float64, cost: Float64, yardstick: Yardstick) -> int:
    """Return the constant of best utility among those within the budget; the cheapest if none is."""
    utility = quality - yardstick.usd_weight * cost
    if yardstick.budget_usd is not None:
        affordable = cost <= yardstick.budget_usd
        if not affordable.any():
            return int(np.argmin(cost))
        utility = np.where(affordable, utility, -np.inf)
    return int(np.argmax(utility))


def _chosen_gain(
    arena: Arena,
    yardstick: Yardstick,
    constants: Int64,
    measured_cost: Float64,
    measured_quality: Float64,
    cost: float,
    quality: float,
) -> float | None:
    if not len(yardstick.history):
        return None
    rows, K = yardstick.history, len(arena.models)
    among = np.isin(np.arange(K), constants)
    hull = measured_hull(arena.quality[rows], arena.cost_usd[rows], among)
    whole_cost, whole_quality = np.zeros(K), np.zeros(K)
    whole_cost[constants], whole_quality[constants] = measured_cost, measured_quality
    # As with the hull: below the path's start its start counts.
    start = float(whole_cost[hull.model].min())
    return _finite(gain_over_chosen_mix(hull, whole_cost, whole_quality, cost=max(cost, start), quality=quality))


def _constant_regret(utility: Float64, received: Float64) -> float | None:
    """Return the regret against the best constant by its mean over the rounds that it was measured in; None if none."""
    if not utility.shape[1]:
        return None
    mean = np.nanmean(utility, axis=0)
    return float(len(received) * mean.max() - received.sum())


def _category_regret(utility: Float64, received: Float64, category: Int64) -> float | None:
    """Return the regret against the best category table in hindsight; None where gaps leave no such table."""
    if not utility.shape[1] or np.isnan(utility).any():
        return None
    _, label = np.unique(category, return_inverse=True)
    table = best_category_table(utility, label)
    return float(utility[np.arange(len(label)), table[label]].sum() - received.sum())


def _shares(world: World, model: Int64) -> dict[str, float]:
    counts = np.bincount(model, minlength=len(world.arena.models))
    return {name: float(count) / len(model) for name, count in zip(world.arena.model_ids, counts, strict=True)}


def _phases(
    world: World, rounds: Rounds, utility: Float64, cost: Float64, received: Float64, budget: Float64 | None
) -> list[dict[str, Any]]:
    """Return figures per segment of the scenario; none where nothing happens in between."""
    starts = world.scenario.starts.tolist()
    if len(starts) == 1:
        return []
    at = rounds.measured
    q, c, model = rounds.quality[at], rounds.cost_usd[at], rounds.model[at].astype(np.int64)
    phases = []
    for s, start in enumerate(starts):
        stop = starts[s + 1] if s + 1 < len(starts) else len(q)
        part = slice(start, stop)
        # What is there throughout the phase: the best of it is what one could have kept to.
        present = world.scenario.present[s] & np.isfinite(utility[part]).any(axis=0)
        if budget is not None:
            # What one could not have paid for is no reference.
            spent = np.nanmean(np.where(present, cost[part], 0.0), axis=0)
            affordable = present & (spent <= budget[part].mean())
            present = affordable if affordable.any() else present
        reference = float(np.nanmean(utility[part][:, present], axis=0).max())
        recovered = None
        if s and reference > 0.0 and stop - start > 1:
            recovered = recovery_rounds(received[part], start=0, reference=reference)
        newcomers = world.scenario.present[s] & ~world.scenario.present[s - 1] if s else np.zeros_like(present)
        adopted = None
        if newcomers.any():
            adopted = adoption_rounds(newcomers[model], start=start, share=_ADOPTED_SHARE)
        phases.append(
            {
                "start": start,
                "stop": stop,
                "quality": float(q[part].mean()),
                "cost_usd": float(c[part].mean()),
                "utility": float(received[part].mean()),
                "best_constant_utility": reference,
                "budget_usd": None if budget is None else float(budget[part].mean()),
                "budget_ratio": None if budget is None else float(c[part].mean() / budget[part].mean()),
                "recovery_rounds": recovered,
                "adoption_rounds": adopted,
                "shares": _shares(world, model[part]),
            }
        )
    return phases


def _mean_or_none(values: Float64) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
