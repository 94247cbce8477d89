"""Curves: what changes over rounds, and what the plane's lines are, as small tables that plots and readers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from banditd_sim.environments.baselines import CONSTANT_PREFIX, is_baseline
from banditd_sim.environments.mixes import constant_outcomes, measured_hull
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World
from banditd_sim.experiments.config import Experiment
from banditd_sim.experiments.keep import Folder
from banditd_sim.experiments.plan import Subject, Task
from banditd_sim.metrics import lagrangian_frontier, trailing_mean
from banditd_sim.ope.arrays import Float64, Int64
from banditd_sim.report.schema import Summary

# A picture has no more pixels to show than this.
_POINTS: Final = 200
_BINS: Final = 30
_WINDOW: Final = 100
# Share of the seeds inside the band.
_BAND: Final = (10.0, 90.0)


@dataclass(frozen=True, slots=True)
class Curves:
    """Rows of tables, each a dictionary with the same keys.

    Attributes:
        over_time: Per policy and round: mean cumulative regret, the band that holds 80 % of the seeds, and the mean
            cost of the last 100 rounds with the budget in force.
        shares: Per policy, bin of rounds and model: share of the prompts.
        plane: Per data set and scenario: vertices of the fixed-mix hull, and points of the oracle's frontier.
    """

    over_time: list[dict[str, Any]]
    shares: list[dict[str, Any]]
    plane: list[dict[str, Any]]


def curves_of(
    experiment: Experiment, folder: Folder, tasks: Sequence[Task], subjects: Sequence[Subject], summary: Summary
) -> Curves:
    """Return the curves of a finished experiment: of every policy and baseline, but of the best constant only."""
    best = {(row.dataset, row.scenario): row.best_constant_model for row in summary.rows if row.budget_usd is None}
    best = {(row.dataset, row.scenario): row.best_constant_model for row in summary.rows} | best
    over_time: list[dict[str, Any]] = []
    shares: list[dict[str, Any]] = []
    groups: dict[tuple[int, int, str, float | None], list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.dataset, task.scenario, task.policy, task.budget_usd), []).append(task)
    for (d, s, policy, budget), parts in groups.items():
        place = subjects[d].arena.name, experiment.scenarios[s].name
        names = {"dataset": place[0], "scenario": place[1], "policy": policy, "budget_usd": budget}
        shown = best[place]
        if policy.startswith(CONSTANT_PREFIX) and policy != CONSTANT_PREFIX + shown:
            continue
        rounds = _together(folder, parts)
        over_time += [{**names, **point} for point in _over_time(rounds)]
        if not is_baseline(policy):
            ids = subjects[d].arena.model_ids
            shares += [{**names, **point} for point in _shares(rounds["model"], ids)]
    return Curves(over_time, shares, _plane(experiment, subjects))


def _together(folder: Folder, parts: Sequence[Task]) -> dict[str, Any]:
    """Return columns as (seeds, rounds) of the measured rounds."""
    names = ["seed", "round", "model", "cost_usd", "regret", "budget_usd"]
    found = [folder.rounds(task, names) for task in parts]
    seeds = np.concatenate([one["seed"] for one in found])
    measured = np.concatenate([one["round"] for one in found]) >= 0
    count = len(np.unique(seeds))
    columns = {name: np.concatenate([one[name] for one in found])[measured] for name in names}
    return {name: column.reshape(count, -1) for name, column in columns.items()}


def _over_time(rounds: dict[str, Any]) -> list[dict[str, Any]]:
    regret: Float64 = np.cumsum(rounds["regret"], axis=1)
    cost = np.stack([trailing_mean(one, _WINDOW) for one in rounds["cost_usd"]]).mean(axis=0)
    low, high = np.percentile(regret, _BAND, axis=0)
    mean, budget = regret.mean(axis=0), rounds["budget_usd"][0]
    return [
        {
            "round": t + 1,
            "regret": float(mean[t]),
            "regret_low": float(low[t]),
            "regret_high": float(high[t]),
            "cost_usd_trailing": float(cost[t]),
            "budget_in_force_usd": None if np.isnan(budget[t]) else float(budget[t]),
        }
        for t in _ticks(regret.shape[1]).tolist()
    ]


def _shares(model: Int64, model_ids: Sequence[str]) -> list[dict[str, Any]]:
    edges = np.linspace(0, model.shape[1], min(_BINS, model.shape[1]) + 1).astype(np.int64)
    points = []
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        counts = np.bincount(model[:, start:stop].ravel(), minlength=len(model_ids))
        for model_id, count in zip(model_ids, counts.tolist(), strict=True):
            share = count / (model.shape[0] * (stop - start))
            points.append({"start": start, "stop": stop, "model": model_id, "share": share})
    return points


def _plane(experiment: Experiment, subjects: Sequence[Subject]) -> list[dict[str, Any]]:
    rows = []
    for subject in subjects:
        for s, scenario in enumerate(experiment.scenarios):
            laid = timeline(scenario, subject.arena, subject.parts.test, f"scenarios[{s}]")
            world = World(subject.arena, laid, subject.parts.learn, subject.parts.test, 0)
            quality, cost = (values[world.learn_count :] for values in world.outcomes)
            names = {"dataset": subject.arena.name, "scenario": scenario.name}
            hull = measured_hull(*constant_outcomes(world, slice(world.learn_count, None)))
            for k, c, q in zip(hull.model.tolist(), hull.cost.tolist(), hull.quality.tolist(), strict=True):
                rows.append({**names, "line": "hull", "model": subject.arena.model_ids[k], "cost_usd": c, "quality": q})
            frontier = lagrangian_frontier(quality, cost)
            for t in _ticks(len(frontier.cost)).tolist():
                point = {"cost_usd": float(frontier.cost[t]), "quality": float(frontier.quality[t])}
                rows.append({**names, "line": "oracle", "model": "", **point})
    return rows


def _ticks(count: int) -> Int64:
    """Return at most `_POINTS` indices below *count*, first and last included."""
    return np.unique(np.rint(np.linspace(0, count - 1, min(_POINTS, count))).astype(np.int64))
