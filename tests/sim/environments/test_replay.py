"""A replay reveals the chosen model's outcome and no other; warm, cold, with gaps, reproducibly."""

from dataclasses import replace as change

import numpy as np
import pytest

from banditd.domain.budget import Budget
from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.replay import LearningRouter, replay
from banditd_sim.environments.router import RouterPolicy, parse_router_policy, router_spec
from banditd_sim.environments.scenario import BudgetChange, Scenario
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World

from .worlds import NONE, flat, learnable, make_table, world_of

COLUMNS = ("row", "model", "propensity", "quality", "cost_usd", "failed", "reported")


def played(table, *, seed=0, warm=NONE, learn=NONE, rows=None, preset="linucb", **rest):
    """Return the rounds of a replay."""
    arena = arena_of(table)
    rows = np.arange(len(table.prompt_ids)) if rows is None else rows
    laid = timeline(Scenario(), arena, rows)
    router = LearningRouter(arena, laid, RouterPolicy(preset, **rest), None, seed)
    if len(warm):
        router.teach(warm)
    return replay(World(arena, laid, learn, rows, seed), router.fork(seed))


def bits(rounds):
    """Return every column's bytes."""
    return [getattr(rounds, name).tobytes() for name in COLUMNS]


@pytest.mark.parametrize("preset", ["linucb", "lin_thompson", "squarecb", "nonlinear"])
def test_what_was_not_chosen_is_not_seen(preset):
    """With every unchosen outcome replaced by another one, the run is the same to the bit."""
    table = learnable(400)
    first = played(table, preset=preset, usd_weight=1.0)
    quality, cost = np.full_like(table.quality, 0.123), np.full_like(table.cost_usd, 9.9)
    quality[first.row, first.model] = table.quality[first.row, first.model]
    cost[first.row, first.model] = table.cost_usd[first.row, first.model]
    second = played(change(table, quality=quality, cost_usd=cost), preset=preset, usd_weight=1.0)
    assert bits(first) == bits(second)


def test_what_was_chosen_is_seen():
    """The counterpart: with other chosen outcomes the run becomes another."""
    table = learnable(400)
    first = played(table)
    quality = table.quality.copy()
    quality[first.row[:50], first.model[:50]] = 0.0
    assert bits(played(change(table, quality=quality))) != bits(first)


def test_equal_seeds_give_equal_runs_and_others_do_not():
    """Order, luck and draws."""
    table = learnable(300)
    assert bits(played(table, seed=3)) == bits(played(table, seed=3)) != bits(played(table, seed=4))


def test_a_history_helps_from_the_first_prompt_on():
    """Warm, the first 50 prompts get nearly what the last of a long cold run get; cold, they do not."""
    table = learnable(1200, noise=0.02)
    train = np.array([row for row, split in enumerate(table.split) if split == "train"])
    test = np.array([row for row, split in enumerate(table.split) if split == "test"])

    def lost(**rest):
        rounds = [played(table, rows=test, seed=seed, **rest) for seed in range(4)]
        return np.mean([(table.quality[r.row].max(axis=1) - r.quality)[:50].mean() for r in rounds])

    assert lost(warm=train) < 0.5 * lost()


def test_learning_rounds_come_first_and_are_not_measured():
    """30 prompts teach, 20 are measured."""
    rounds = played(flat(50, [0.2, 0.8], [1.0, 1.0]), learn=np.arange(30), rows=np.arange(30, 50))
    assert len(rounds) == 50
    assert rounds.learn_count == 30
    assert sorted(rounds.row[:30]) == list(range(30))
    assert sorted(rounds.row[rounds.measured]) == list(range(30, 50))


def test_only_measured_models_are_offered():
    """On the even prompts m0 is missing, on the odd ones m2; the propensity is over the others."""
    quality = np.tile([0.9, 0.5, 0.1], (60, 1))
    quality[::2, 0] = np.nan
    quality[1::2, 2] = np.nan
    rounds = played(make_table(quality, np.ones_like(quality)), preset="uniform")
    assert np.isfinite(rounds.quality).all()
    assert rounds.propensity == pytest.approx([0.5] * 60)
    assert (rounds.model[rounds.row % 2 == 0] != 0).all()
    assert (rounds.model[rounds.row % 2 == 1] != 2).all()


def test_no_seed_copies_the_table():
    """Worlds of two seeds read the very same arrays."""
    arena = arena_of(learnable(200))
    laid = timeline(Scenario(), arena, np.arange(200))
    a, b = (World(arena, laid, NONE, np.arange(200), seed) for seed in (0, 1))
    assert a.arena.quality is b.arena.quality
    for t in range(len(a)):
        a.report(t, 0, a.truth(t, 0))
    assert "outcomes" not in a.__dict__
    assert a.choosable is None


@pytest.mark.parametrize(
    "broken, said",
    [
        ({"embeddings": None}, "embedded prompts"),
        ({"quality": np.full((4, 2), np.nan)}, "outcomes with quality and cost"),
    ],
)
def test_tables_that_cannot_be_played_are_refused(broken, said):
    """With what is missing."""
    with pytest.raises(SimError, match=said):
        arena_of(change(flat(4, [0.5, 0.5], [1.0, 1.0]), **broken))


def test_a_budget_is_a_setting_of_the_router():
    """Handed on by the one function that knows how."""
    assert router_spec(RouterPolicy("linucb"), 8, 1e-3).budget == Budget(1e-3)
    assert router_spec(RouterPolicy("linucb"), 8, None).budget is None


def test_a_budget_change_goes_through_that_function(monkeypatch):
    """The router gets its settings anew with budget x factor, and its old ones back."""
    from banditd_sim.environments import replay as module

    asked = []

    def stub(policy, dimension, budget_usd):
        asked.append(budget_usd)
        return router_spec(policy, dimension, None)

    monkeypatch.setattr(module, "router_spec", stub)
    world = world_of(flat(30, [0.5, 0.5], [1.0, 1.0]), [BudgetChange(at=10, until=20, factor=0.5)])
    replay(world, LearningRouter(world.arena, world.scenario, RouterPolicy("linucb"), 4.0, 0))
    assert asked == [4.0, 2.0, 4.0]


def test_policies_are_read_with_their_parameters():
    """Preset parameters, trade-off and guess in one list; what is wrong is refused."""
    policy = parse_router_policy("linucb:alpha=1.5,usd_weight=20", usd_weight=1.0, second_weight=2.0)
    assert (policy.preset, dict(policy.parameters), policy.usd_weight, policy.second_weight) == (
        "linucb",
        {"alpha": 1.5},
        20.0,
        2.0,
    )
    for text in ("nope", "linucb:alpha", "linucb:alpha=x", "linucb:beta=1", "linucb:alpha=-1", "linucb:usd_weight=-1"):
        with pytest.raises(SimError):
            parse_router_policy(text, usd_weight=0.0, second_weight=0.0)
