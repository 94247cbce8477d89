"""The shipped router at compared pairs: it hears the verdict on the pair that it named, and learns who is better."""

import dataclasses

import numpy as np
import pytest

from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.comparisons import ComparisonWorld
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.pairs import PairRouter, replay_pairs
from banditd_sim.environments.replay import LearningRouter
from banditd_sim.environments.router import RouterPolicy
from banditd_sim.environments.scenario import Scenario
from banditd_sim.environments.scores import NO_COSTS, PRICED_COSTS
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World
from banditd_sim.table import A_WON, B_WON, BOTH_BAD, TIE, Comparisons, TableModel, gaps

from .worlds import NONE, flat

DUEL = RouterPolicy("duel")
PAIRS = [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def compared(prompts=150, seed=0):
    """Return four models compared in all pairs but (0, 1), of which the greater number wins nine times in ten."""
    rng = np.random.default_rng(seed)
    rows = [(i, a, b, B_WON if rng.random() < 0.9 else A_WON) for i in range(prompts) for a, b in PAIRS]
    return told(flat(prompts, [0.5] * 4, [1.0] * 4), rows)


def told(table, rows):
    """Return *table* with nothing but comparisons: rows of (prompt, a, b, winner)."""
    prompt, a, b, winner = (np.array(column) for column in zip(*rows, strict=True))
    comparisons = Comparisons(prompt, a, b, winner, ("",) * len(rows), np.full(len(rows), np.nan))
    nothing = gaps(*table.quality.shape)
    return dataclasses.replace(table, quality=nothing, cost_usd=nothing, comparisons=comparisons)


def router_on(table, policy=DUEL, seed=1, rows=None):
    """Return world and router of all rows, or of *rows*."""
    arena = arena_of(table)
    rows = np.arange(len(table)) if rows is None else rows
    laid = timeline(Scenario(), arena, rows)
    return World(arena, laid, NONE, rows, seed), LearningRouter(arena, laid, policy, None, seed)


def test_what_comparisons_say_of_each_model_by_hand():
    """Two wins and a defeat are 2/3, a tie 1/2, both bad 0; who was not compared has no quality."""
    rows = [(0, 0, 1, A_WON), (0, 2, 0, B_WON), (0, 0, 2, B_WON), (1, 1, 2, TIE), (2, 2, 1, BOTH_BAD)]
    arena = arena_of(told(flat(3, [0.5] * 3, [1.0] * 3, prices=[(1.0, 5.0), (2.0, 2.0), (4.0, 4.0)]), rows))
    np.testing.assert_allclose(arena.quality, [[2 / 3, 0, 1 / 2], [np.nan, 0.5, 0.5], [np.nan, 0, 0]])
    # 750 tokens at 1 USD and 250 at 5 USD per million.
    np.testing.assert_allclose(arena.cost_usd[0], [0.002, 0.002, 0.004])
    assert arena.costs == PRICED_COSTS
    assert np.array_equal(np.isnan(arena.cost_usd), np.isnan(arena.quality))


def test_without_a_price_of_every_model_all_cost_nothing():
    """And the arena says so."""
    table = compared(3)
    arena = arena_of(dataclasses.replace(table, models=(TableModel("unpriced"), *table.models[1:])))
    assert arena.costs == NO_COSTS
    assert np.nanmax(arena.cost_usd) == 0.0


def test_a_router_compares_and_learns_who_wins():
    """In the end it compares the best with somebody nearly always, chance would have it in three pairs of five."""
    world, router = router_on(compared())
    rounds = replay_pairs(world, router)
    pairs = [tuple(sorted(pair)) for pair in zip(rounds.model.tolist(), rounds.rival.tolist(), strict=True)]
    assert len(pairs) == 150
    assert set(pairs) <= set(PAIRS)
    assert np.mean([3 in pair for pair in pairs[-50:]]) > 0.85
    assert (rounds.model[-50:] == 3).mean() > 0.7


def test_a_router_hears_of_the_pair_it_named_only():
    """One comparison per round is in its log, of that round's prompt and pair, and no outcome."""
    world, router = router_on(compared(40))
    rounds = replay_pairs(world, router)
    heard = [entry.record for entry in router.engine.log.newest_outcomes("default", 1 << 40, 1000)]
    assert len(heard) == len(rounds) == 40
    for t, record in enumerate(heard):
        assert record.context.embedding.tobytes() == world.arena.embeddings[rounds.row[t]].tobytes()
        pair = {record.comparison.slot_a, record.comparison.slot_b}
        assert pair == {int(rounds.model[t]), int(rounds.rival[t])}


def test_equal_seeds_compare_equal_pairs():
    """The player's draws and the world's are both seeded."""
    table = compared(40)
    first, second = (replay_pairs(*router_on(table, seed=2)) for _ in range(2))
    assert np.array_equal(first.model, second.model)
    assert np.array_equal(first.rival, second.rival)
    assert np.array_equal(first.reported, second.reported)


def test_a_history_of_comparisons_goes_in_first():
    """With it the best is found at once."""
    table = compared(120)
    world, router = router_on(table, rows=np.arange(100, 120))
    PairRouter(world.arena, router).teach(np.arange(100))
    assert router.engine.router.comparison_count == 100 * len(PAIRS)
    assert (replay_pairs(world, router).model == 3).mean() >= 0.8


def test_a_policy_that_learns_nothing_from_comparisons_is_refused():
    """Rather than played as if it did."""
    world, router = router_on(compared(5), RouterPolicy("category"))
    with pytest.raises(SimError, match="learns from comparisons"):
        replay_pairs(world, router)


def test_prompts_that_nobody_compared_cannot_be_played():
    """The world refuses them."""
    comparisons = compared(5).comparisons
    with pytest.raises(SimError, match="prompts with comparisons"):
        ComparisonWorld(comparisons, 0, np.array([0, 7]))
