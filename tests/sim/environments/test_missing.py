"""Qualities that are missing: what weighting by the chance of an arrival corrects, and what it cannot.

Two models; on prompts of category `a` the first has a quality of 0.9 and on those of `b` of 0.2, the second of 0.5
everywhere: the first is the better one by 0.05. The policy `constant` knows no context, so that it learns the mean of
what arrives.
"""

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd_sim.environments.scenario import Sparse
from tests.sim.environments.test_scenarios import play
from tests.sim.environments.worlds import make_table, world_of

ROUNDS = 3000
SEEDS = range(3)
# Alike everywhere; seldom where the first model is good; seldom where an answer is good.
RANDOM = [Sparse(rate=0.5, until_expiry=20)]
BY_CONTEXT = [Sparse(rate=0.1, categories=["a"], until_expiry=20), Sparse(rate=0.9, categories=["b"], until_expiry=20)]
BY_QUALITY = [Sparse(rate=0.9, rate_at_best=0.1, until_expiry=20)]


def table():
    """Return the two models on prompts of two categories, which embeddings show as well."""
    category = np.arange(ROUNDS) % 2
    quality = np.stack([np.where(category == 0, 0.9, 0.2), np.full(ROUNDS, 0.5)], axis=1)
    return make_table(quality, np.ones_like(quality), category=tuple("ab"[c] for c in category))


def learnt(events, weighting, preset="constant"):
    """Return the expected qualities after all rounds of uniform choices, shape (seeds, 2), and the last router."""
    parameters = {"floor": 1.0, "observation_weighting": weighting}
    found = []
    for seed in SEEDS:
        _, router = play(world_of(table(), events, seed=seed), preset, seed, parameters=parameters)
        found.append(means(router))
    return np.array(found), router


def means(router):
    """Return the expected qualities of both models."""
    state = router.engine.router
    catalog = router.engine.state.catalog
    return [state.belief.summary(catalog.by_slot[slot]).quality for slot in range(2)]


@pytest.mark.parametrize(
    "events, weighting, first",
    [(RANDOM, 10.0, 0.55), (BY_CONTEXT, 0.0, 0.27), (BY_CONTEXT, 10.0, 0.55)],
)
def test_what_depends_on_the_context_is_corrected(events, weighting, first):
    """Unweighted, the first model seems to be 0.1 0.9 + 0.9 0.2 = 0.27; weighted it is 0.55, and the better one."""
    found, _ = learnt(events, weighting)
    print(f"\nweighting {weighting:g}: {found.mean(axis=0).round(3)} +- {found.std(axis=0).round(3)}")
    assert found == pytest.approx(np.tile([first, 0.5], (len(SEEDS), 1)), abs=0.05)


@pytest.mark.parametrize("weighting", [0.0, 10.0])
def test_what_depends_on_the_quality_itself_is_not(weighting):
    """Good and bad answers in one context, the bad ones judged nine times as often: weights see only the context."""
    luck = np.random.default_rng(0).random(ROUNDS) < 0.55
    mixed = np.stack([np.where(luck, 1.0, 0.0), np.full(ROUNDS, 0.5)], axis=1)
    found = []
    for seed in SEEDS:
        world = world_of(make_table(mixed, np.ones_like(mixed)), BY_QUALITY, seed=seed)
        parameters = {"floor": 1.0, "observation_weighting": weighting}
        found.append(means(play(world, "constant", seed, parameters=parameters)[1]))
    found = np.array(found)
    print(f"\nweighting {weighting:g}: {found.mean(axis=0).round(3)} +- {found.std(axis=0).round(3)}")
    # 0.55 0.1 / (0.55 0.1 + 0.45 0.9) = 0.12, and with weights the same.
    assert found.mean(axis=0)[0] == pytest.approx(0.12, abs=0.03)


def test_the_chance_of_an_arrival_is_learnt_per_context():
    """It is what the scenario has, and a router that restarts knows it."""
    _, router = learnt(BY_CONTEXT, 0.0)
    router.engine.restart()
    arrival, arena = router.engine.router.arrival, world_of(table(), BY_CONTEXT).arena
    for row, chance in ((0, 0.1), (1, 0.9)):
        context = Context(arena.embeddings[row], category=arena.category_of(row))
        for slot in range(2):
            assert arrival.probability(slot, context) == pytest.approx(chance, abs=0.06)
