"""Each scenario against a case that was worked out by hand."""

import numpy as np
import pytest

from banditd.domain.outcome import Failure
from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.baselines import Known, play_baseline
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.replay import LearningRouter, replay
from banditd_sim.environments.router import RouterPolicy
from banditd_sim.environments.scenario import (
    BudgetChange,
    Degradation,
    Delay,
    ModelAdded,
    ModelRemoved,
    NoisyJudge,
    Outage,
    Poison,
    PriceChange,
    PromptMix,
    Restart,
    Scenario,
    Sparse,
)
from banditd_sim.environments.timeline import timeline

from .worlds import flat, learnable, make_table, world_of


def reports(world, k):
    """Return what the router would be told of always choosing model *k*."""
    return [world.report(t, k, world.truth(t, k)) for t in range(len(world))]


def play(world, preset="linucb", seed=0, **rest):
    """Return rounds and router of a cold replay."""
    router = LearningRouter(world.arena, world.scenario, RouterPolicy(preset, **rest), None, seed)
    return replay(world, router), router


def test_a_price_changes_and_changes_back():
    """Rounds 0-3 cost 2, 4-6 cost a fifth, 7-9 cost 2 again; the other model's cost stands."""
    table = flat(10, [0.5, 0.5], [2.0, 3.0], prices=[(10.0, 10.0), (1.0, 1.0)])
    world = world_of(table, [PriceChange("m0", at=4, until=7, factor=0.2)])
    _, cost = world.outcomes
    assert cost[:, 0].tolist() == [2.0] * 4 + [0.4] * 3 + [2.0] * 3
    assert cost[:, 1].tolist() == [3.0] * 10
    assert [world.truth(t, 0).cost_usd for t in range(10)] == cost[:, 0].tolist()
    prices = [world.scenario.price[s][0].input_mtok_usd for s in world.segment]
    assert prices == [10.0] * 4 + [2.0] * 3 + [10.0] * 3


def test_a_new_price_bills_by_tokens_where_they_are_known():
    """100 tokens in at 2 and 10 out at 30 per million are 0.0005 dollars."""
    table = flat(4, [0.5, 0.5], [1.0, 1.0], prices=[(1.0, 1.0)] * 2, tokens=(100, 10))
    world = world_of(table, [PriceChange("m1", at=2, input_mtok_usd=2.0, output_mtok_usd=30.0)])
    _, cost = world.outcomes
    assert cost[:2, 1].tolist() == [1.0, 1.0]
    assert cost[2:, 1] == pytest.approx([0.0005, 0.0005])


def test_a_new_price_without_tokens_scales_like_the_blended_price():
    """From (1, 9), blended 3, to (0.1, 0.1), blended 0.1: a thirtieth."""
    table = flat(4, [0.5, 0.5], [3.0, 1.0], prices=[(1.0, 9.0), (1.0, 1.0)])
    world = world_of(table, [PriceChange("m0", at=0.5, input_mtok_usd=0.1, output_mtok_usd=0.1)])
    assert world.outcomes[1][:, 0] == pytest.approx([3.0, 3.0, 0.1, 0.1])


def test_of_overlapping_price_changes_the_later_in_the_list_holds():
    """New prices from round 1, a tenth of the first price from round 2: 0.1 dollars, not what the tokens cost."""
    table = flat(4, [0.5, 0.5], [1.0, 1.0], prices=[(1.0, 1.0)] * 2, tokens=(100, 10))
    events = [PriceChange("m1", at=1, input_mtok_usd=2.0, output_mtok_usd=30.0), PriceChange("m1", at=2, factor=0.1)]
    world = world_of(table, events)
    assert world.outcomes[1][:, 1] == pytest.approx([1.0, 0.0005, 0.1, 0.1])


def test_a_price_that_nobody_announces_shows_in_costs_only():
    """The catalogue goes on with the old price."""
    table = flat(4, [0.5, 0.5], [1.0, 1.0], prices=[(1.0, 1.0)] * 2)
    world = world_of(table, [PriceChange("m0", at=2, factor=3.0, announced=False)])
    assert world.outcomes[1][:, 0].tolist() == [1.0, 1.0, 3.0, 3.0]
    assert {world.scenario.price[s][0].input_mtok_usd for s in world.segment} == {1.0}


def test_an_announced_price_acts_on_the_next_decision():
    """With a dollar worth 1, the dear model's gain of 0.4 is not worth 10 more dollars, and is once it is free."""
    table = flat(60, [0.4, 0.8], [1e-3, 10.0], prices=[(1.0, 1.0), (10_000.0, 10_000.0)])
    world = world_of(table, [PriceChange("m1", at=40, factor=1e-6)])
    rounds, _ = play(world, usd_weight=1.0)
    assert (rounds.model[20:40] == 0).mean() > 0.9
    assert (rounds.model[41:] == 1).mean() > 0.9


def test_a_degradation_multiplies_and_nobody_is_told():
    """Quality 0.8 halves in rounds 3-5."""
    world = world_of(flat(8, [0.8, 0.6], [1.0, 1.0]), [Degradation("m0", at=3, until=6, factor=0.5)])
    assert world.outcomes[0][:, 0].tolist() == [0.8] * 3 + [0.4] * 3 + [0.8] * 2
    assert {world.scenario.price[s] for s in world.segment} == {world.scenario.price[0]}


def test_a_degradation_to_a_mean_hits_that_mean():
    """Qualities 0.2 and 0.6 have mean 0.4; to a mean of 0.1 they become 0.05 and 0.15."""
    table = make_table([[0.2, 0.5], [0.6, 0.5]], np.ones((2, 2)))
    world = world_of(table, [Degradation("m0", at=0, mean=0.1)])
    assert sorted(world.outcomes[0][:, 0]) == pytest.approx([0.05, 0.15])


def test_an_outage_fails_calls_and_tells_the_router():
    """In rounds 2-4 every call to m0 fails: quality 0, nothing billed, no lesson; m1 works."""
    world = world_of(flat(6, [0.9, 0.3], [1.0, 2.0]), [Outage("m0", at=2, until=5, failure="timeout")])
    quality, cost = world.outcomes
    assert quality[:, 0].tolist() == [0.9, 0.9, 0.0, 0.0, 0.0, 0.9]
    assert cost[:, 0].tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert quality[:, 1].tolist() == [0.3] * 6
    told = reports(world, 0)
    assert [one.failure for one in told] == [Failure.NONE] * 2 + [Failure.TIMEOUT] * 3 + [Failure.NONE]
    assert [one.quality for one in told] == [0.9, 0.9, None, None, None, 0.9]


def test_failures_reach_the_learner_as_failures():
    """A router with one model that always fails has learnt no quality, and counts the failures."""
    world = world_of(flat(20, [0.9, 0.3], [1.0, 2.0]), [Outage("m0", at=0)])
    rounds, router = play(world, "uniform")
    state = router.engine.router
    assert state.failure_counts == {0: int((rounds.model == 0).sum())}
    assert state.belief.summary(state.offered(router.engine.state.catalog)[0]).quality_count == 0
    assert rounds.failed.tolist() == (rounds.model == 0).tolist()


def test_a_partial_outage_fails_its_share():
    """A rate of 0.3 over 4,000 rounds fails 30 % within 4 standard errors."""
    world = world_of(flat(4000, [0.9, 0.3], [1.0, 2.0]), [Outage("m1", at=0, rate=0.3)])
    assert world.failed[:, 1].mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 4000))
    assert not world.failed[:, 0].any()


def test_a_model_that_is_added_cannot_be_chosen_before():
    """m1 comes in round 30, has a fifth of the traffic until it is known and, being better, nearly all of it then."""
    world = world_of(flat(240, [0.3, 0.9], [1.0, 1.0]), [ModelAdded("m1", at=30)])
    rounds, router = play(world)
    assert (rounds.model[:30] == 0).all()
    assert rounds.propensity[:30].tolist() == [1.0] * 30
    assert 0.05 < (rounds.model[30:70] == 1).mean() < 0.4
    assert (rounds.model[200:] == 1).mean() > 0.9
    assert router.model_of == [0, 1]
    assert np.isnan(world.outcomes[0][:30, 1]).all()


def test_a_model_that_is_removed_leaves_no_trace():
    """m1, the better one, goes in round 30."""
    world = world_of(flat(60, [0.3, 0.9], [1.0, 1.0]), [ModelRemoved("m1", at=30)])
    rounds, _ = play(world)
    assert (rounds.model[:30] == 1).mean() > 0.8
    assert (rounds.model[30:] == 0).all()
    assert rounds.propensity[30:].tolist() == [1.0] * 30


def test_who_comes_while_another_goes_is_not_taken_for_it():
    """Slots are given in order of arrival: m0 of the table becomes the router's third."""
    table = flat(260, [0.9, 0.2, 0.3], [1.0, 2.0, 3.0])
    world = world_of(table, [ModelAdded("m0", at=30), ModelRemoved("m2", at=60)])
    rounds, router = play(world)
    assert router.model_of == [1, 2, 0]
    assert rounds.quality.tolist() == [[0.9, 0.2, 0.3][k] for k in rounds.model]
    assert (rounds.model[60:] != 2).all()
    # Known after fifteen outcomes at a fifth of the traffic.
    assert (rounds.model[220:] == 0).mean() > 0.8


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_a_fixed_delay_is_that_many_rounds(rounds):
    """An outcome of round t is known to the decision of round t + 1 + delay."""
    world = world_of(flat(6, [0.5, 0.5], [1.0, 1.0]), [Delay(rounds=rounds)])
    assert [one.due for one in reports(world, 0)] == [t + 1 + rounds for t in range(6)]


def test_a_delay_can_depend_on_the_model():
    """m1 waits 2 rounds, m0 none."""
    world = world_of(flat(3, [0.5, 0.5], [1.0, 1.0]), [Delay(per_model={"m1": 2})])
    assert [one.due for one in reports(world, 0)] == [1, 2, 3]
    assert [one.due for one in reports(world, 1)] == [3, 4, 5]


def test_a_random_delay_has_the_mean_that_was_asked_for():
    """The floor of an exponential with mean 5 has mean 1 / (exp(1/5) - 1) = 4.517."""
    world = world_of(flat(4000, [0.5, 0.5], [1.0, 1.0]), [Delay(rounds=5.0, spread="exponential")])
    waits = np.array([one.due - t - 1 for t, one in enumerate(reports(world, 0))])
    assert waits.mean() == pytest.approx(4.517, abs=4 * waits.std() / np.sqrt(4000))


@pytest.mark.parametrize("delay", [1, 10])
def test_what_is_delayed_is_learnt_when_it_arrives(delay):
    """With a delay of 10 nothing is known before round 11, and what is never due is never learnt."""
    world = world_of(flat(20, [0.2, 0.9], [1.0, 1.0]), [Delay(rounds=delay)])
    rounds, router = play(world)
    known = 20 - (delay + 1)
    assert router.engine.router.observed == known
    assert np.isnan(rounds.reported[known:]).all()
    assert rounds.reported[:known].tolist() == rounds.quality[:known].tolist()


def test_sparse_reports_come_at_their_rate_and_costs_always():
    """A rate of 0.25."""
    told = reports(world_of(flat(4000, [0.5, 0.5], [1.0, 1.0]), [Sparse(rate=0.25)]), 0)
    share = np.mean([one.quality is not None for one in told])
    assert share == pytest.approx(0.25, abs=4 * np.sqrt(0.1875 / 4000))
    assert {one.cost_usd for one in told} == {1.0}


def test_sparse_reports_can_be_missing_not_at_random():
    """From 0.1 at quality 0 to 0.9 at quality 1: at 0.25 the rate is 0.3, and the reported mean is too good."""
    quality = np.tile([[0.25, 1.0], [0.75, 1.0]], (4000, 1))
    world = world_of(make_table(quality, np.ones_like(quality)), [Sparse(rate=0.1, rate_at_best=0.9)])
    told = [one.quality for one in reports(world, 0)]
    truth = world.outcomes[0][:, 0]
    for value, rate in ((0.25, 0.3), (0.75, 0.7)):
        seen = np.array([one is not None for one, q in zip(told, truth, strict=True) if q == value])
        assert seen.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / len(seen)))
    # Weighted by those rates, whose sum is 1: a quarter of 0.3 and three quarters of 0.7.
    assert np.mean([one for one in told if one is not None]) == pytest.approx(0.6, abs=0.02)


def test_a_noisy_judge_is_off_by_its_deviation_and_the_truth_stands():
    """Around 0.5 with deviation 0.1 hardly anything is clipped."""
    world = world_of(flat(4000, [0.5, 0.5], [1.0, 1.0]), [NoisyJudge(deviation=0.1)])
    said = np.array([one.quality for one in reports(world, 0)])
    assert said.std() == pytest.approx(0.1, rel=0.05)
    assert said.min() >= 0.0
    assert said.max() <= 1.0
    assert set(world.outcomes[0][:, 0]) == {0.5}


def test_a_judge_can_turn_verdicts_over():
    """A flip of 0.2 on 0.9 says 0.1 in a fifth of the rounds."""
    said = [one.quality for one in reports(world_of(flat(4000, [0.9, 0.5], [1.0, 1.0]), [NoisyJudge(flip=0.2)]), 0)]
    assert {round(one, 6) for one in said} == {0.1, 0.9}
    assert np.mean(np.array(said) < 0.5) == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 4000))


@pytest.mark.parametrize(
    "lie, model, of_m0, of_m1", [("invert", "", 0.8, 0.3), ("zero", "", 0.0, 0.0), ("promote", "m0", 1.0, 0.0)]
)
def test_liars_say_what_they_are_for(lie, model, of_m0, of_m1):
    """All lie: m0 is really 0.2 and m1 0.7."""
    world = world_of(flat(3, [0.2, 0.7], [1.0, 1.0]), [Poison(share=1.0, lie=lie, model=model)])
    assert [one.quality for one in reports(world, 0)] == pytest.approx([of_m0] * 3)
    assert [one.quality for one in reports(world, 1)] == pytest.approx([of_m1] * 3)


def test_liars_have_their_share_and_their_time():
    """40 % from round 1,000 on."""
    world = world_of(flat(5000, [0.2, 0.7], [1.0, 1.0]), [Poison(share=0.4, at=1000)])
    lied = np.array([one.quality for one in reports(world, 0)]) != 0.2
    assert not lied[:1000].any()
    assert lied[1000:].mean() == pytest.approx(0.4, abs=4 * np.sqrt(0.24 / 4000))


def test_prompts_are_shuffled_anew_for_each_seed_and_none_is_lost():
    """Two seeds, two orders, the same rows."""
    table = flat(50, [0.5, 0.5], [1.0, 1.0])
    a, b, again = (world_of(table, seed=seed).rows for seed in (0, 1, 0))
    assert a.tolist() == again.tolist() != b.tolist()
    assert sorted(a.tolist()) == sorted(b.tolist()) == list(range(50))


def test_prompts_can_come_as_given_or_in_blocks():
    """Blocks: all of z first, as told, then a and b by name."""
    category = ["a", "b", "z"] * 20
    table = flat(60, [0.5, 0.5], [1.0, 1.0], category=category)
    assert world_of(table, [PromptMix("as_given")]).rows.tolist() == list(range(60))
    rows = world_of(table, [PromptMix("blocks", categories=["z"])]).rows
    assert [category[row] for row in rows] == ["z"] * 20 + ["a"] * 20 + ["b"] * 20


def test_a_drifting_mix_moves_from_first_to_last():
    """Of two categories, the first fills the start, the last the end, and both meet in the middle."""
    category = ["a"] * 500 + ["b"] * 500
    table = flat(1000, [0.5, 0.5], [1.0, 1.0], category=category)
    b = np.array([category[row] == "b" for row in world_of(table, [PromptMix("drift")]).rows])
    assert b[:200].mean() < 0.1
    assert b[-200:].mean() > 0.9
    assert 0.25 < b[400:600].mean() < 0.75
    weak = np.array([category[row] == "b" for row in world_of(table, [PromptMix("drift", strength=0.2)]).rows])
    assert 0.2 < weak[:200].mean() < weak[-200:].mean() < 0.8


def test_a_restart_in_the_middle_changes_nothing():
    """Every column is the same to the bit, with fits of the encoding before and after."""
    table = learnable(600)
    plain, _ = play(world_of(table), usd_weight=1.0)
    stopped, router = play(world_of(table, [Restart(at=150), Restart(at=400)]), usd_weight=1.0)
    for name in ("model", "propensity", "quality", "cost_usd", "reported"):
        assert getattr(plain, name).tobytes() == getattr(stopped, name).tobytes()
    assert router.engine.router.fit_position > 0


def test_a_budget_change_acts_from_its_round_on():
    """Models cost 1 and 3: a mix for 2 dollars is half and half, one for 3 is all dear; without a budget nothing."""
    table = flat(4000, [0.2, 0.8], [1.0, 3.0])
    world = world_of(table, [BudgetChange(at=2000, factor=1.5)])
    known = Known(np.arange(4000), 0.0)
    rounds = play_baseline("fixed_mix", world, known, 2.0)
    assert rounds.propensity[:2000] == pytest.approx([0.5] * 2000)
    assert (rounds.model[:2000] == 1).mean() == pytest.approx(0.5, abs=0.05)
    assert (rounds.model[2000:] == 1).all()
    assert (play_baseline("fixed_mix", world, known, None).model == 1).all()


def test_events_are_combined():
    """A price change and a degradation that overlap: three segments where both, one or none is in force."""
    table = flat(9, [0.8, 0.5], [2.0, 1.0])
    world = world_of(table, [PriceChange("m0", at=3, factor=2.0), Degradation("m0", at=6, factor=0.5)])
    assert world.scenario.starts.tolist() == [0, 3, 6]
    assert world.outcomes[1][:, 0].tolist() == [2.0] * 3 + [4.0] * 6
    assert world.outcomes[0][:, 0].tolist() == [0.8] * 6 + [0.4] * 3


def test_moments_are_counted_from_the_first_measured_round():
    """Five prompts teach before; the change of round 2 is the world's eighth."""
    table = flat(10, [0.8, 0.5], [2.0, 1.0])
    world = world_of(table, [Degradation("m0", at=2, factor=0.0)], learn=np.arange(5), rows=np.arange(5, 10))
    assert world.outcomes[0][:, 0].tolist() == [0.8] * 7 + [0.0] * 3


@pytest.mark.parametrize(
    "event, field",
    [
        (PriceChange("m9", at=0, factor=1.0), "model"),
        (PriceChange("m0", at=0), "events[0]"),
        (PriceChange("m0", at=0, factor=1.0, input_mtok_usd=1.0), "events[0]"),
        (PriceChange("m0", at=10, factor=2.0), "at"),
        (Degradation("m0", at=5, until=5, factor=0.5), "until"),
        (Degradation("m0", at=0), "events[0]"),
        (Delay(per_model={"x": 1}), "per_model"),
        (Sparse(rate=0.5, models=["x"]), "models"),
        (Poison(share=0.5, lie="promote"), "model"),
        (PromptMix("blocks", categories=["x"]), "categories"),
        (Restart(at=2.5), "at"),
    ],
)
def test_what_does_not_fit_the_data_is_refused_by_name(event, field):
    """The message names the field."""
    table = flat(10, [0.8, 0.5], [2.0, 1.0])
    with pytest.raises(SimError) as caught:
        timeline(Scenario("s", [event]), arena_of(table), np.arange(10))
    assert field in caught.value.field


def test_nobody_left_is_refused():
    """Both models removed."""
    arena = arena_of(flat(10, [0.8, 0.5], [2.0, 1.0]))
    with pytest.raises(SimError, match="a model in every round"):
        timeline(Scenario("s", [ModelRemoved("m0", at=1), ModelRemoved("m1", at=2)]), arena, np.arange(10))
