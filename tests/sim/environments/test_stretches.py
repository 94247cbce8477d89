"""Rounds that are played many in one call are those that would be played one by one: decisions, log and state."""

from dataclasses import replace as change

import numpy as np
import pytest
from msgspec.structs import replace

from banditd.domain.budget import Budget, BudgetWindow
from banditd.domain.records import ModelChange, RouterChange
from banditd.domain.router import DEFAULT_ROUTER
from banditd.learner.rounds import is_playable
from banditd.objective.pacer import CONTEXTS
from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.replay import LearningRouter, replay
from banditd_sim.environments.router import RouterPolicy
from banditd_sim.environments.scenario import Degradation, PromptMix, Scenario
from banditd_sim.environments.stretches import Stretches
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World

from .worlds import NONE, learnable, make_table, world_of

ROUNDS = 700


def both_ways(monkeypatch, table, policy, budget_usd=None, events=()):
    """Return the routers that played a table as it comes and one by one, their rounds, and rounds played together."""
    together = []
    play = Stretches.play

    def counted(self, *arguments):
        found = play(self, *arguments)
        together.append(0 if found is None else len(found[0]))
        return found

    runs = []
    for instead in (counted, lambda *_: None):
        monkeypatch.setattr(Stretches, "play", instead)
        arena, rows = arena_of(table), np.arange(len(table.prompt_ids))
        laid = timeline(Scenario("hand", list(events)), arena, rows)
        router = LearningRouter(arena, laid, policy, budget_usd, 0)
        runs.append((router, replay(World(arena, laid, NONE, rows, 0), router)))
    return runs, sum(together)


def assert_same(runs):
    """The state's digest, every column, and every record of the log."""
    (ours, played), (theirs, single) = runs
    assert ours.engine.router.digest() == theirs.engine.router.digest()
    assert ours.engine.state.position == theirs.engine.state.position
    assert ours.engine.state.health == theirs.engine.state.health
    assert ours.engine.router.changes.header() == theirs.engine.router.changes.header()
    assert ours.engine.router.changes.loud == theirs.engine.router.changes.loud
    beliefs = [each.engine.router_snapshot.belief for each, _ in runs]
    assert beliefs[0].learnt_count == beliefs[1].learnt_count
    for name in ("model", "propensity", "reported", "quality", "cost_usd"):
        assert getattr(played, name).tobytes() == getattr(single, name).tobytes()
    for our, their in zip(ours.engine.log.decisions(), theirs.engine.log.decisions(), strict=True):
        assert repr(our) == repr(their)
        assert our.choice.pmf.tobytes() == their.choice.pmf.tobytes()
        assert our.choice.expected.tobytes() == their.choice.expected.tobytes()
        assert our.choice.exclusions.tobytes() == their.choice.exclusions.tobytes()
    position = ours.engine.state.position + 1
    entries = [each.engine.log.newest_outcomes(DEFAULT_ROUTER, position, 2 * len(played.model)) for each, _ in runs]
    assert len(entries[0]) == len(entries[1]) == len(played.model)
    assert repr(entries[0]) == repr(entries[1])


@pytest.mark.parametrize(
    "preset", ["linucb", "lin_thompson", "adaptive", "softmax", "constant", "epsilon_greedy", "nonlinear"]
)
def test_together_is_one_by_one(monkeypatch, preset):
    """To the bit, over fits of the encoding and choices of the prior; every round is played together."""
    table = learnable(ROUNDS, dimension=12, models=4)
    latency = np.random.default_rng(1).lognormal(6.0, 1.0, table.quality.shape)
    latency[::7, 1] = np.nan
    table = change(table, latency_ms=latency)
    runs, together = both_ways(monkeypatch, table, RouterPolicy(preset, usd_weight=1.0, second_weight=1e-4))
    assert together == ROUNDS
    assert_same(runs)
    # What was learnt is not next to nothing.
    assert len(np.unique(runs[0][1].model)) > 1


@pytest.mark.parametrize(
    "parameters", [{"change_detection": 0.0}, {"shrinkage": 0.0}, {"retention": 0.9}, {"slope_penalty": 8.0}]
)
def test_with_other_parameters(monkeypatch, parameters):
    """Without detectors, with a prior that stays, with evidence that fades."""
    runs, together = both_ways(monkeypatch, learnable(400, models=4), RouterPolicy("linucb", parameters))
    assert together == 400
    assert_same(runs)


def test_a_model_that_is_always_as_expected(monkeypatch):
    """Errors of 0 fade until they are none in float64: what was told is learnt all the same, and counted alike."""
    n = 2600
    table = make_table(np.full((n, 2), 0.5), np.full((n, 2), 1e-4))
    runs, together = both_ways(monkeypatch, table, RouterPolicy("linucb", {"retention": 0.5}))
    assert together == n
    assert_same(runs)


def test_rounds_that_nobody_can_be_drawn_in_are_played_by_themselves(monkeypatch):
    """Where a latency of 1e200 ms makes utilities infinite the fallback serves, and the rest goes on together."""
    table = learnable(300, models=3)
    latency = np.full(table.quality.shape, 100.0)
    latency[40:60, :] = 1e200
    table, policy = change(table, latency_ms=latency), RouterPolicy("linucb", second_weight=1e300)
    runs, together = both_ways(monkeypatch, table, policy)
    assert_same(runs)
    assert 0 < together < 300


def test_a_snapshot_that_was_published_beside(monkeypatch):
    """Whoever looks at the router before or between replays changes nothing."""
    table = learnable(200)
    arena, rows = arena_of(table), np.arange(200)
    laid = timeline(Scenario(), arena, rows)
    routers = [LearningRouter(arena, laid, RouterPolicy("linucb"), None, 0) for _ in range(2)]
    for seed in range(2):
        assert routers[0].engine.router_snapshot.belief is not None
        for router in routers:
            replay(World(arena, laid, NONE, rows, seed), router)
    assert routers[0].engine.router.digest() == routers[1].engine.router.digest()


def test_an_alarm_ends_a_stretch(monkeypatch):
    """A model that is nearly twice as good for a while, then falls: its alarms are raised in the same rounds."""
    n = 600
    rng = np.random.default_rng(3)
    quality = np.column_stack([np.full(n, 0.5), np.where(np.arange(n) < 300, 0.9, 0.1)])
    quality = np.clip(quality + 0.05 * rng.standard_normal(quality.shape), 0.0, 1.0)
    table, in_order = make_table(quality, np.full((n, 2), 1e-4)), PromptMix(order="as_given")
    runs, together = both_ways(monkeypatch, table, RouterPolicy("linucb"), events=[in_order])
    assert_same(runs)
    assert together == n
    alarms = runs[0][0].engine.router.changes.alarm_counts
    assert alarms == runs[1][0].engine.router.changes.alarm_counts
    assert alarms[1][0] > 0


def test_free_models_and_unknown_prices(monkeypatch):
    """Costs of a model without a price are learnt in dollars, of a free one not at all."""
    table = learnable(300, models=3)
    models = (change(table.models[0], input_mtok_usd=0.0, output_mtok_usd=0.0), *table.models[1:])
    models = (models[0], change(models[1], input_mtok_usd=np.nan, output_mtok_usd=np.nan), models[2])
    runs, together = both_ways(monkeypatch, change(table, models=models), RouterPolicy("linucb"))
    assert_same(runs)
    assert together == 300


@pytest.mark.parametrize("preset", ["linucb", "lin_thompson", "softmax", "constant"])
@pytest.mark.parametrize("budget_usd", [1e-7, 2e-4, 2e-3, 1.0])
def test_within_a_budget(monkeypatch, preset, budget_usd):
    """Prices, debts and allowances as well: too little for anybody, two that bind, and as much as one likes."""
    table = learnable(ROUNDS, dimension=12, models=4)
    latency = np.random.default_rng(1).lognormal(6.0, 1.0, table.quality.shape)
    policy = RouterPolicy(preset, usd_weight=1.0, second_weight=1e-4)
    runs, together = both_ways(monkeypatch, change(table, latency_ms=latency), policy, budget_usd)
    assert_same(runs)
    # The first decision is made by what is believed, and so are those after an alarm, not by what decisions expected.
    alarms = sum(map(sum, runs[0][0].engine.router.changes.alarm_counts.values()))
    assert alarms <= 1
    assert together == ROUNDS - 1 - CONTEXTS * alarms
    pacing = [decision.choice.pacing for decision in runs[0][0].engine.log.decisions()]
    binds = sum(each.high > 0.0 for each in pacing)
    assert binds == 0 if budget_usd == 1.0 else binds > ROUNDS / 2
    assert len({each.allowance_usd for each in pacing}) > 1


def test_within_a_budget_with_unknown_prices(monkeypatch):
    """Whose price is unknown is left out where money matters, and what it would cost is remembered as unknown."""
    table = learnable(300, models=3)
    models = (change(table.models[0], input_mtok_usd=np.nan, output_mtok_usd=np.nan), *table.models[1:])
    runs, together = both_ways(monkeypatch, change(table, models=models), RouterPolicy("linucb"), 1e-3)
    assert_same(runs)
    assert together == 299


def test_after_an_alarm_within_a_budget_rounds_are_played_by_themselves(monkeypatch):
    """While the price follows from what is believed now, it is computed after each outcome."""
    n = 900
    rng = np.random.default_rng(3)
    quality = np.column_stack([np.full(n, 0.5), np.where(np.arange(n) < 400, 0.9, 0.1)])
    quality = np.clip(quality + 0.05 * rng.standard_normal(quality.shape), 0.0, 1.0)
    table, in_order = make_table(quality, np.tile([1e-4, 2e-4], (n, 1))), PromptMix(order="as_given")
    runs, together = both_ways(monkeypatch, table, RouterPolicy("linucb"), 1.6e-4, events=[in_order])
    assert_same(runs)
    assert runs[0][0].engine.router.changes.alarm_counts[1][0] > 0
    assert n - 4 * 128 < together < n - 100


def test_what_budgets_cannot_be_played_within():
    """A hard one asks what is left for each round, a calendar one enters windows, one of others has their columns."""
    world = world_of(learnable(100, models=3))
    router = LearningRouter(world.arena, world.scenario, RouterPolicy("linucb"), 1e-3, 0)
    replay(world, router)
    engine, terms = router.engine, router.terms
    assert is_playable(engine.router, engine.ready_snapshot(), terms)
    assert not is_playable(engine.router, engine.ready_snapshot(), replace(terms, left_usd=1.0))
    spec = engine.router.router
    for budget, playable in ((Budget(1.0, BudgetWindow.DAY), False), (Budget(1e-3), True)):
        engine.append(RouterChange(spec.router_id, change(spec, budget=budget)))
        assert is_playable(engine.router, engine.ready_snapshot(), terms) == playable
    engine.append(ModelChange("m0", 0, None))
    assert not is_playable(engine.router, engine.ready_snapshot(), terms)


@pytest.mark.parametrize("preset", ["squarecb", "knn"])
def test_what_goes_on_between_rounds_is_played_round_by_round(monkeypatch, preset):
    """A parameter that grows with what is learnt, another belief: nobody even tries."""
    monkeypatch.setattr(Stretches, "play", lambda *_: pytest.fail("played ahead"))
    world = world_of(learnable(100))
    router = LearningRouter(world.arena, world.scenario, RouterPolicy(preset), None, 0)
    assert len(replay(world, router).model) == 100


def test_events_are_played_round_by_round(monkeypatch):
    """Where something happens nobody plays ahead."""
    monkeypatch.setattr(Stretches, "play", lambda *_: pytest.fail("played ahead"))
    world = world_of(learnable(100), [Degradation(model="m0", at=50, factor=0.5)])
    router = LearningRouter(world.arena, world.scenario, RouterPolicy("linucb"), None, 0)
    assert len(replay(world, router).model) == 100
