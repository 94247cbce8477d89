"""Baselines against hand-worked cases and brute force."""

import itertools

import numpy as np
import pytest

from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.baselines import Known, length_rule, play_baseline, priced_choice
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.scenario import ModelAdded, ModelRemoved, Outage

from .worlds import flat, learnable, make_table, world_of


def test_a_constant_is_that_model_always():
    """Propensity 1."""
    world = world_of(flat(9, [0.2, 0.7], [1.0, 2.0]))
    rounds = play_baseline("constant:m1", world, Known(world.rows, 0.0), None)
    assert set(rounds.model) == {1}
    assert set(rounds.propensity) == {1.0}
    with pytest.raises(SimError, match="a model of hand"):
        play_baseline("constant:m7", world, Known(world.rows, 0.0), None)


def test_uniform_choice_is_uniform():
    """Within 4 standard errors."""
    world = world_of(flat(6000, [0.2, 0.7, 0.1], [1.0, 2.0, 3.0]))
    rounds = play_baseline("uniform", world, Known(world.rows, 0.0), None)
    share = np.bincount(rounds.model, minlength=3) / 6000
    assert share == pytest.approx([1 / 3] * 3, abs=4 * np.sqrt(2 / 9 / 6000))


def test_a_category_table_is_fitted_on_the_history_only():
    """In the history m0 is best for a and m1 for b; measured it is the other way round."""
    quality = [[0.9, 0.1], [0.1, 0.9]] * 10 + [[0.1, 0.9], [0.9, 0.1]] * 10
    table = make_table(quality, np.ones((40, 2)), category=["a", "b"] * 20)
    world = world_of(table, rows=np.arange(20, 40))
    rounds = play_baseline("category_table", world, Known(np.arange(20), 0.0), None)
    assert rounds.quality.tolist() == [0.1] * 20


def test_a_category_that_the_history_lacks_gets_the_history_best():
    """Category c is unknown; m1 is best overall."""
    table = make_table([[0.1, 0.9]] * 4 + [[0.9, 0.1]] * 2, np.ones((6, 2)), category=["a"] * 4 + ["c"] * 2)
    world = world_of(table, rows=np.array([4, 5]))
    assert set(play_baseline("category_table", world, Known(np.arange(4), 0.0), None).model) == {1}


@pytest.mark.parametrize("budget", [1.2, 2.0, 3.5, 9.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_priced_choice_is_the_best_within_the_budget(budget, seed):
    """Against all 3^5 choices: none within its own cost is better, by the Lagrangian argument."""
    rng = np.random.default_rng(seed)
    quality, cost = rng.random((5, 3)), 1.0 + 4.0 * rng.random((5, 3))
    rows = np.arange(5)
    k = priced_choice(quality, cost, 0.0, budget)
    spent, got = cost[rows, k].sum(), quality[rows, k].sum()
    cheapest = cost.min(axis=1).sum()
    assert spent <= max(5 * budget, cheapest) + 1e-9
    for other in itertools.product(range(3), repeat=5):
        if cost[rows, list(other)].sum() <= spent + 1e-12:
            assert quality[rows, list(other)].sum() <= got + 1e-9


def test_a_prompt_length_rule_finds_the_border():
    """Prompts up to 10 characters are best with m0 (cheap), longer ones with m1."""
    table = make_table([[0.9, 0.5]] * 50 + [[0.2, 0.8]] * 50, np.tile([1.0, 2.0], (100, 1)))
    from dataclasses import replace

    table = replace(table, texts=tuple("x" * (5 if i < 50 else 40) for i in range(100)))
    arena = arena_of(table)
    threshold, short, long = length_rule(arena, Known(np.arange(100), 0.01), None)
    assert (short, long) == (0, 1)
    assert 5 < threshold <= 40
    rounds = play_baseline("prompt_length", world_of(table), Known(np.arange(100), 0.01), None)
    assert rounds.quality.mean() == pytest.approx(0.85)


def test_the_oracle_is_the_best_of_every_prompt():
    """And under a budget no policy of the same cost is better than the frontier that it lies on."""
    table = learnable(300)
    world = world_of(table)
    free = play_baseline("oracle", world, Known(world.rows, 0.0), None)
    assert free.quality == pytest.approx(table.quality[world.rows].max(axis=1))
    budget = 2.0 * float(table.cost_usd.min(axis=1).mean())
    bound = play_baseline("oracle", world, Known(world.rows, 0.0), budget)
    assert bound.cost_usd.mean() <= budget
    assert bound.quality.mean() < free.quality.mean()


def test_who_cannot_be_chosen_is_replaced_by_the_cheapest():
    """m1 is removed in round 5; of m0 and m2, m2 is cheaper."""
    world = world_of(flat(10, [0.5, 0.9, 0.4], [2.0, 3.0, 1.0]), [ModelRemoved("m1", at=5)])
    rounds = play_baseline("constant:m1", world, Known(world.rows, 0.0), None)
    assert rounds.model.tolist() == [1] * 5 + [2] * 5


@pytest.mark.parametrize("policy", ["category_table", "prompt_length"])
def test_a_rule_is_made_of_who_is_there(policy):
    """The best model is known from the history and comes in round 50: until then the second best, not the cheapest."""
    world = world_of(flat(100, [0.2, 0.9, 0.8], [1.0, 2.0, 9.0]), [ModelAdded("m1", at=50)])
    rounds = play_baseline(policy, world, Known(world.rows, 0.0), None)
    assert rounds.model.tolist() == [2] * 50 + [1] * 50


def test_a_mix_keeps_its_budget_while_a_model_is_missing():
    """Three dollars buy one call of 9 in four beside the cheap model; all weight on who is left of the mix costs 9."""
    world = world_of(flat(2000, [0.2, 0.8, 0.9], [1.0, 2.0, 9.0]), [ModelAdded("m1", at=1000)])
    rounds = play_baseline("fixed_mix", world, Known(world.rows, 0.0), 3.0)
    for part in (slice(0, 1000), slice(1000, 2000)):
        assert rounds.cost_usd[part].mean() == pytest.approx(3.0, abs=0.45)
    assert 0 not in rounds.model[1000:]


def test_a_constant_suffers_an_outage():
    """Failed calls are marked and worth nothing."""
    world = world_of(flat(6, [0.5, 0.9], [2.0, 3.0]), [Outage("m1", at=2, until=4)])
    rounds = play_baseline("constant:m1", world, Known(world.rows, 0.0), None)
    assert rounds.failed.tolist() == [False, False, True, True, False, False]
    assert rounds.quality.tolist() == [0.9, 0.9, 0.0, 0.0, 0.9, 0.9]
    assert not play_baseline("constant:m0", world, Known(world.rows, 0.0), None).failed.any()
