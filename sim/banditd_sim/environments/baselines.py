"""Baselines: what needs no learning while it runs, knows the history, or knows everything.

Their choices depend on nothing that they see, so all rounds are chosen at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from banditd_sim.environments.arena import Arena
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.mixes import measured_hull
from banditd_sim.environments.rounds import Rounds
from banditd_sim.environments.world import World
from banditd_sim.metrics import chosen_mix
from banditd_sim.ope.arrays import Bool, Float64, Int64

UNIFORM, CATEGORY, LENGTH, MIX, ORACLE = "uniform", "category_table", "prompt_length", "fixed_mix", "oracle"
CONSTANT_PREFIX: Final = "constant:"
BASELINES: Final = (UNIFORM, CATEGORY, LENGTH, MIX, ORACLE)
# Those whose choices depend on the budget.
BUDGETED: Final = frozenset({CATEGORY, LENGTH, MIX, ORACLE})

# Halvings of a shadow price's range: 60 leave less than a float's precision of it.
_HALVINGS: Final = 60
_THRESHOLDS: Final = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True, slots=True)
class Known:
    """What baselines are fitted on: the history, or the measured prompts in hindsight where there is none.

    Attributes:
        rows: Int64 (m,), rows of the table.
        usd_weight: What a dollar is worth.
        among: Bool (K,), models to choose from; None for all.
    """

    rows: Int64
    usd_weight: float
    among: Bool | None = None

    def outcomes(self, arena: Arena) -> tuple[Float64, Float64]:
        """Return quality and cost (m, K) of the rows, NaN for models that cannot be chosen."""
        quality, cost = arena.quality[self.rows], arena.cost_usd[self.rows]
        if self.among is None or self.among.all():
            return quality, cost
        return np.where(self.among, quality, np.nan), np.where(self.among, cost, np.nan)


def is_baseline(policy: str) -> bool:
    """Return whether *policy* names a baseline."""
    return policy in BASELINES or policy.startswith(CONSTANT_PREFIX)


def play_baseline(policy: str, world: World, known: Known, budget_usd: float | None) -> Rounds:
    """Play all rounds of a baseline.

    A model that a prompt was not measured on, or that is not in the catalogue, is replaced by the cheapest that can be
    chosen. Where the scenario changes the budget or the catalogue, what is fitted is fitted anew, of the models that
    are there; prices and qualities remain those of the history.

    Args:
        policy: `constant:MODEL` or one of `BASELINES`.
        world: The rounds.
        known: What it is fitted on.
        budget_usd: USD per request on average; None for none.

    Raises:
        SimError: An unknown baseline or model.
    """
    n, K = len(world), len(world.arena.models)
    quality, cost = world.outcomes
    pmf = np.zeros((n, K))
    for part, budget, among in _parts(policy, world, budget_usd):
        pmf[part] = _pmf(policy, world, Known(known.rows, known.usd_weight, among), budget, part)
    choosable = world.arena.measured[world.rows] if world.choosable is None else world.choosable
    pmf = _within(pmf, choosable, cost)
    k = _drawn(pmf, world.uniform)
    rows = np.arange(n)
    failed = world.failed[rows, k] if world.scenario.failure_rate.any() else np.zeros(n, np.bool_)
    return Rounds(
        row=world.rows,
        model=k.astype(np.int16),
        propensity=pmf[rows, k],
        quality=quality[rows, k],
        cost_usd=cost[rows, k],
        latency_ms=world.arena.latency_ms[world.rows, k],
        failed=failed,
        reported=np.full(n, np.nan),
        learn_count=world.learn_count,
        seconds=float("nan"),
    )


def priced_choice(quality: Float64, cost: Float64, usd_weight: float, budget_usd: float | None) -> Int64:
    """Return per row the model with the greatest quality - (usd_weight + lambda) cost, the cheaper of equal ones.

    lambda >= 0 is the least shadow price at which the mean cost is within the budget. A budget below what the cheapest
    choices cost gives these: their budget ratio above 1 then tells it.

    Args:
        quality: (n, K), NaN where a model cannot be chosen.
        cost: (n, K), likewise.
        usd_weight: What a dollar is worth.
        budget_usd: USD per row on average; None for none.
    """

    def spend(price: float) -> tuple[Int64, float]:
        value = np.where(np.isnan(quality), -np.inf, quality - price * cost)
        tied = value >= value.max(axis=1, keepdims=True)
        k = np.argmin(np.where(tied, cost, np.inf), axis=1)
        return k, float(cost[np.arange(len(k)), k].mean())

    k, spent = spend(usd_weight)
    if budget_usd is None or spent <= budget_usd:
        return k
    if float(np.nanmin(cost, axis=1).mean()) >= budget_usd:
        return np.asarray(np.argmin(np.where(np.isnan(cost), np.inf, cost), axis=1), dtype=np.int64)
    low, high = usd_weight, max(2.0 * usd_weight, 1.0)
    while spend(high)[1] > budget_usd and high < 1e15:
        low, high = high, high * 4.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if spend(middle)[1] > budget_usd else (low, middle)
    return spend(high)[0]


def length_rule(arena: Arena, known: Known, budget_usd: float | None) -> tuple[float, int, int]:
    """Return the best prompt-length rule of the history: threshold, model for shorter prompts, model for the others.

    Tried are the quantiles 0, 5 %, ..., 100 % of the length with all pairs of neighbours on the fixed-mix hull; the
    best has the greatest mean utility among those within the budget.
    """
    q, c = known.outcomes(arena)
    hull = measured_hull(q, c)
    length = arena.length[known.rows]
    vertices = hull.model.tolist()
    pairs = list(pairwise(vertices)) or [(vertices[0], vertices[0])]
    best = (-np.inf, float("inf"), int(vertices[0]), int(vertices[0]))
    for short, long in pairs:
        for threshold in [*np.quantile(length, _THRESHOLDS).tolist(), float("inf")]:
            k = np.where(length >= threshold, long, short)
            cost = float(np.nanmean(c[np.arange(len(k)), k]))
            if budget_usd is not None and cost > budget_usd:
                continue
            value = float(np.nanmean(q[np.arange(len(k)), k])) - known.usd_weight * cost
            if value > best[0]:
                best = (value, threshold, short, long)
    return best[1], best[2], best[3]


def _parts(policy: str, world: World, budget_usd: float | None) -> list[tuple[Int64, float | None, Bool]]:
    """Return rounds by the budget and the catalogue that are in force in them."""
    scenario = world.scenario
    terms = np.column_stack([scenario.budget_factor, scenario.present])
    found, kind = np.unique(terms, axis=0, return_inverse=True)
    limited = budget_usd is not None and policy in BUDGETED
    parts: list[tuple[Int64, float | None, Bool]] = []
    for i, (factor, *present) in enumerate(found.tolist()):
        rounds = np.flatnonzero(kind.ravel()[world.segment] == i)
        budget = budget_usd * factor if limited and budget_usd is not None else None
        parts.append((rounds, budget, np.array(present, dtype=np.bool_)))
    return parts


def _pmf(policy: str, world: World, known: Known, budget: float | None, part: Int64) -> Float64:
    """Return the distribution of a baseline in the rounds *part*: (m, K)."""
    arena, K = world.arena, len(world.arena.models)
    if policy.startswith(CONSTANT_PREFIX):
        return _certain(np.full(len(part), arena.index_of(policy.removeprefix(CONSTANT_PREFIX), "policy")), K)
    makers: dict[str, Callable[[], Float64]] = {
        UNIFORM: lambda: np.full((len(part), K), 1.0 / K),
        CATEGORY: lambda: _certain(_table(arena, known, budget)[arena.category[world.rows[part]]], K),
        LENGTH: lambda: _by_length(arena, known, budget, world.rows[part]),
        MIX: lambda: np.tile(_mix(arena, known, budget), (len(part), 1)),
        ORACLE: lambda: _certain(_oracle(world, known, budget, part), K),
    }
    if policy not in makers:
        raise SimError("policy", f"constant:MODEL or one of {', '.join(BASELINES)}", repr(policy))
    return makers[policy]()


def _table(arena: Arena, known: Known, budget: float | None) -> Int64:
    """Return a model per category: the best mean utility there, at one shadow price for all categories.

    A category that the history does not know gets the best of the whole history.
    """
    (q, c), category = known.outcomes(arena), arena.category[known.rows]
    seen, label, count = np.unique(category, return_inverse=True, return_counts=True)
    quality, cost = _group_means(q, label, len(seen)), _group_means(c, label, len(seen))
    # Every prompt counts alike, so a category's means are repeated as often as it has prompts.
    chosen = priced_choice(np.repeat(quality, count, axis=0), np.repeat(cost, count, axis=0), known.usd_weight, budget)
    overall = priced_choice(_group_means(q, 0 * label, 1), _group_means(c, 0 * label, 1), known.usd_weight, budget)
    table = np.full(len(arena.categories), int(overall[0]), dtype=np.int64)
    table[seen] = chosen[np.concatenate([[0], np.cumsum(count)[:-1]])]
    return table


def _group_means(values: Float64, label: Int64, groups: int) -> Float64:
    known = np.isfinite(values)
    total, count = np.zeros((groups, values.shape[1])), np.zeros((groups, values.shape[1]))
    np.add.at(total, label, np.where(known, values, 0.0))
    np.add.at(count, label, known)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _by_length(arena: Arena, known: Known, budget: float | None, rows: Int64) -> Float64:
    threshold, short, long = length_rule(arena, known, budget)
    return _certain(np.where(arena.length[rows] >= threshold, long, short), len(arena.models))


def _mix(arena: Arena, known: Known, budget: float | None) -> Float64:
    """Return the fixed mix that the history recommends: at the budget, or without one the vertex of best utility."""
    hull = measured_hull(*known.outcomes(arena))
    if budget is None:
        best = int(np.argmax(hull.quality - known.usd_weight * hull.cost))
        budget = float(hull.cost[best])
    return chosen_mix(hull, budget=max(budget, float(hull.cost[0])), models_count=len(arena.models)).weight


def _oracle(world: World, known: Known, budget: float | None, part: Int64) -> Int64:
    """Return the best model per prompt, every outcome known."""
    quality, cost = world.outcomes
    return priced_choice(quality[part], cost[part], known.usd_weight, budget)


def _certain(k: Int64, models_count: int) -> Float64:
    return np.asarray(np.eye(models_count)[k])


def _within(pmf: Float64, choosable: Bool, cost: Float64) -> Float64:
    """Return *pmf* (n, K) kept to who can be chosen; where nothing is left, on the cheapest who can."""
    kept = np.where(choosable, pmf, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    lost = total[:, 0] <= 0.0
    if lost.any():
        cheapest = np.argmin(np.where(choosable[lost], np.nan_to_num(cost[lost], nan=np.inf), np.inf), axis=1)
        kept[lost] = np.eye(pmf.shape[1])[cheapest]
        total[lost] = 1.0
    return np.asarray(kept / total)


def _drawn(pmf: Float64, uniform: Float64) -> Int64:
    """Return a model per round by inverting the cumulative sums; as `choose`, never one of probability 0."""
    cdf = np.cumsum(pmf, axis=1)
    k = (uniform[:, None] * cdf[:, -1:] >= cdf).sum(axis=1)
    last = pmf.shape[1] - 1 - np.argmax(pmf[:, ::-1] > 0.0, axis=1)
    return np.asarray(np.minimum(k, last), dtype=np.int64)
