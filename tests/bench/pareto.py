"""The pareto protocol: the prompts of the package paretobandit, budgets, and what a run of them comes to."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from banditd_sim.datasets import open_dataset
from banditd_sim.environments.arena import Arena, arena_of
from banditd_sim.environments.baselines import Known, play_baseline, priced_choice
from banditd_sim.environments.replay import LearningRouter, replay
from banditd_sim.environments.scenario import PLAIN, PriceChange, Scenario
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World
from banditd_sim.metrics.hull import fixed_mix_hull, gain_over_chosen_mix, hull_quality

# USD per prompt; the first is what the cheapest model costs, None is no budget.
BUDGETS = (2.9e-5, 8.3e-5, 2.3e-4, 6.6e-4, 1.9e-3, 5.3e-3, 1.5e-2, None)
MIDDLE_BUDGET = 6.6e-4
DEAR = "google/gemini-2.5-pro"
PRICE_FALLS = Scenario("price_falls", [PriceChange(DEAR, 1 / 3, 2 / 3, input_mtok_usd=0.1, output_mtok_usd=0.1)])
CHARACTERS_PER_TOKEN = 4
# Shared with the demo, so that whoever ran that need not embed again.
EMBEDDINGS = Path("out/demo/embeddings")


@dataclass(frozen=True, eq=False)
class Pareto:
    """The data.

    Attributes:
        arena: Prompts by models, embedded by all-MiniLM-L6-v2.
        texts: The prompts.
        val: Rows to learn from.
        test: Rows to measure on.
    """

    arena: Arena
    texts: tuple
    val: np.ndarray
    test: np.ndarray

    def resplit(self, seed):
        """Return the same prompts, of which others belong to *val* and *test*, as many as before."""
        rows = np.random.default_rng([seed, 3]).permutation(np.concatenate([self.val, self.test]))
        return replace(self, val=rows[: len(self.val)], test=rows[len(self.val) :])

    def world(self, seed, *, warm, scenario=PLAIN):
        """Return the rounds of a seed: *test* shuffled, cold with *val* before it, of which one outcome each is seen.

        Args:
            seed: Of the order and of every draw.
            warm: Whether *val* is history instead, with all outcomes.
            scenario: Laid over the measured rounds.
        """
        learn = np.zeros(0, np.int64) if warm else self.val
        return World(self.arena, timeline(scenario, self.arena, self.test), learn, self.test, seed)


@functools.cache
def open_pareto():
    """Read and embed; a process does it once."""
    table = open_dataset("paretobandit", embedder="minilm", cache=EMBEDDINGS).data
    split = np.array(table.split)
    val, test = (np.flatnonzero(split == name) for name in ("val", "test_holdout"))
    # The data has no token counts, which every caller has: four characters stand for one.
    tokens = np.array([len(text) // CHARACTERS_PER_TOKEN for text in table.texts], np.int64)
    return Pareto(replace(arena_of(table), tokens=tokens), table.texts, val, test)


class Banditd:
    """The shipped router: its fold and its `choose`, with the log in memory. Seeds share what it was taught."""

    def __init__(self, pareto, budget, *, warm, policy, scenario=PLAIN):
        self._router = LearningRouter(pareto.arena, timeline(scenario, pareto.arena, pareto.test), policy, budget, 0)
        if warm:
            self._router.teach(pareto.val)

    def play(self, world):
        """Return the rounds of a world."""
        return replay(world, self._router.fork(world.seed))


def play_known(pareto, world, budget, name):
    """Return the rounds of a baseline that was fitted on *val* with all outcomes."""
    return play_baseline(name, world, Known(pareto.val, 0.0), budget)


def figures(pareto, world, rounds, budget):
    """Return what the measured rounds come to.

    `gain` is quality above the upper hull of the constants at the cost that was spent, in hindsight on the same
    prompts; `chosen_gain` above the mixes that *val* would have chosen; `way` the share of the way from that hull to
    the oracle at the same cost. `learning_gain` is the gain of the rounds before the measured ones, where there are.
    `thirds` are mean costs of each third, `most_usd` what the dearest choices would cost in it.
    """
    at = rounds.measured
    quality, cost = (values[at] for values in world.outcomes)
    known = fixed_mix_hull(
        pareto.arena.cost_usd[pareto.val].mean(axis=0), pareto.arena.quality[pareto.val].mean(axis=0)
    )
    spent, got = float(rounds.cost_usd[at].mean()), float(rounds.quality[at].mean())
    base, least = _hull_at(quality, cost, spent)
    learnt = slice(0, rounds.learn_count)
    best = quality[np.arange(len(quality)), priced_choice(quality, cost, 0.0, max(spent, least))].mean()
    chosen = gain_over_chosen_mix(known, cost.mean(axis=0), quality.mean(axis=0), cost=spent, quality=got)
    return {
        "quality": got,
        "cost_usd": spent,
        "ratio": float("nan") if budget is None else spent / budget,
        "gain": got - base,
        "chosen_gain": chosen,
        "way": (got - base) / (best - base) if best > base else float("nan"),
        "shares": np.bincount(rounds.model[at], minlength=quality.shape[1]) / len(quality),
        "learning_gain": _gain(world, rounds, learnt) if rounds.learn_count else float("nan"),
        "most_usd": np.array([part.max(axis=1).mean() for part in np.array_split(cost, 3)]),
        "thirds": np.array([part.mean() for part in np.array_split(rounds.cost_usd[at], 3)]),
    }


def _gain(world, rounds, at):
    """Return the gain of some rounds over the hull of the constants on them."""
    quality, cost = (values[at] for values in world.outcomes)
    base, _ = _hull_at(quality, cost, float(rounds.cost_usd[at].mean()))
    return float(rounds.quality[at].mean()) - base


def _hull_at(quality, cost, spent):
    """Return the quality of the best mix that costs *spent*, and what the cheapest constant costs.

    Whoever calls only the cheapest model's cheaper calls is held against that model.
    """
    hull = fixed_mix_hull(cost.mean(axis=0), quality.mean(axis=0))
    return hull_quality(hull, max(spent, hull.cost[0])), float(hull.cost[0])
