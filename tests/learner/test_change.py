"""Health, alarms and newcomers through a real writer: facts of the log, the same after any restart."""

import random

import numpy as np
import pytest

from banditd.domain.budget import Budget
from banditd.domain.health import Health
from banditd.domain.outcome import Failure, Metric, Outcome
from banditd.domain.records import ChangeAlarm, FeatureFit, HealthChange, ModelChange
from banditd.learner.changes import Changes, Seen
from banditd.learner.commands import RecordOutcomes
from banditd.learner.recovery import recover, replay
from banditd.learner.state import LearnerState

from .rig import digests_of
from .world import model_change, router_change

AWAY = Failure.UNAVAILABLE


def facts(rig, kind):
    """Return the records of a kind, oldest first."""
    return [entry.record for entry in rig.log.scan(0) if isinstance(entry.record, kind)]


def fail(rig, count=4, slot=0, failure=AWAY):
    """Decide and report failures."""
    for made in rig.decide(count, slot=slot):
        rig.report(made, failure=failure)


def published(rig):
    """Return the router as it decides now."""
    return rig.writer.published.current.routers["r"]


def same_everywhere(rig):
    """Live, recovered and folded states are the same, health included."""
    recovered, folded = recover(rig.log, rig.snapshots), replay(LearnerState(), rig.log)
    assert digests_of(recovered) == digests_of(folded) == rig.digests()
    assert recovered.health == folded.health == rig.state.health
    assert recovered._unhealthy == folded._unhealthy == rig.state._unhealthy


def test_the_outcome_that_tips_a_model_is_committed_with_the_change(rig):
    """One group, the change right behind the outcomes of its command; the next decision has it."""
    made = rig.decide(4)
    rig.groups.clear()
    rig.do(RecordOutcomes(tuple((position, Outcome(id_, failure=AWAY)) for position, id_ in made)))
    assert len(rig.groups) == 1
    (change,) = facts(rig, HealthChange)
    assert change == HealthChange(0, Health.DOWN, rig.clock.now_ms() + 10_000, 1)
    assert [type(e.record).__name__ for e in rig.log.scan(0)][-2:] == ["OutcomeRecord", "HealthChange"]
    assert published(rig).health == {0: Health.DOWN}
    assert published(rig).unhealthy.tolist() == [9, 0]
    same_everywhere(rig)


def test_a_back_off_ends_by_tending_and_a_probe_closes_it(rig, clock):
    """Down, probing once the time is over, healthy by one success; outcomes of before count for nothing."""
    old = rig.decide(1)[0]
    fail(rig)
    clock.advance(9_999)
    rig.tend()
    assert rig.state.health_of(0).state is Health.DOWN
    clock.advance(1)
    rig.tend()
    assert rig.state.health_of(0).state is Health.PROBING
    assert published(rig).share_caps.tolist() == [0.05, 1.0]
    rig.report(old, latency_ms=5.0)
    assert rig.state.health_of(0).state is Health.PROBING
    rig.report(rig.decide(1)[0], latency_ms=5.0)
    assert rig.state.health_of(0).state is Health.HEALTHY
    assert [change.state for change in facts(rig, HealthChange)] == [Health.DOWN, Health.PROBING, Health.HEALTHY]
    assert published(rig).unhealthy is None
    assert (published(rig).share_caps == 1.0).all()
    same_everywhere(rig)


@pytest.mark.parametrize("clean", [True, False])
def test_health_survives_a_restart(open_rig, rig, clock, clean):
    """With a snapshot and without; half a window of failures, too."""
    fail(rig, slot=0)
    fail(rig, 3, slot=1)
    before = rig.state.health
    (rig.stop if clean else rig.crash)()
    again = open_rig()
    assert again.state.health == before
    assert published(again).health == {0: Health.DOWN}
    fail(again, 1, slot=1)
    assert again.state.health_of(1).state is Health.DOWN
    same_everywhere(again)


def test_a_rate_limit_backs_off_and_teaches_nothing(rig):
    """The quality belief keeps its bits."""
    rig.report(rig.decide(1)[0], quality=0.75)
    before = rig.state.routers["r"].belief.digest()
    fail(rig, 1, failure=Failure.RATE_LIMIT)
    assert rig.state.health_of(0).state is Health.BACKING_OFF
    assert rig.state.routers["r"].belief.digest() == before


def test_what_does_not_tell_of_health(rig, clock):
    """Repetitions, a judgement long after, second words on one call; a call that another served tells of that one."""
    (made,) = rig.decide(1)
    for _ in range(6):
        rig.report(made, failure=AWAY)
    for i in range(6):
        rig.report(made, outcome_id=f"{i}", failure=AWAY)
    assert len(rig.state.health_of(0).results) == 1
    rig.report(rig.decide(1)[0], served_slot=1, latency_ms=1.0)
    rig.report(rig.decide(1)[0], served_slot=1, failure=AWAY)
    assert [failure for _, failure in rig.state.health_of(0).results] == [AWAY, AWAY]
    assert [failure for _, failure in rig.state.health_of(1).results] == [Failure.NONE]
    late = rig.decide(1)[0]
    clock.advance(60_001)
    rig.report(late, failure=AWAY)
    assert len(rig.state.health_of(0).results) == 2


def test_a_removed_model_leaves_no_trace(rig):
    """Neither health nor detectors nor belief, nor a share or a reason in any decision from the next on."""
    for made in rig.decide(40):
        rig.report(made, quality=0.5, cost_usd=0.01, latency_ms=9.0)
    fail(rig)
    rig.change(model_change(2))
    rig.change(ModelChange("m0", 0, None), ModelChange("m2", 2, None))
    state = rig.state.routers["r"]
    assert rig.state.health == {}
    assert [model.model_id for model in published(rig).models] == ["m1"]
    assert published(rig).slots.tolist() == [1]
    assert published(rig).unhealthy is None
    assert (published(rig).share_caps == 1.0).all()
    for table in (state.changes.sums, state.changes.newcomers, state.changes.seen, state.changes.alarm_counts):
        assert not set(table) & {0, 2}
    assert not any(name.startswith(("0/", "2/")) for name in state.belief.to_arrays())
    # What is on its way of it changes nothing.
    digest = rig.digests()["r"]
    late = rig.decide(1, slots=(0, 1), slot=0)[0]
    rig.report(late, failure=AWAY)
    assert rig.state.health == {}
    assert rig.digests()["r"] != digest  # the books know it
    assert not any(name.startswith("0/") for name in state.belief.to_arrays())
    same_everywhere(rig)


def teach(rig, count, quality, slot=0, rng=None, **facts_):
    """Decide and report noisy qualities, tending in between as the server does."""
    rng = rng or np.random.default_rng(0)
    for made in rig.decide(count, slot=slot, rng=random.Random(rig.writer.next_position)):
        rig.report(made, quality=float(np.clip(quality + 0.05 * rng.standard_normal(), 0, 1)), **facts_)
        if rig.writer.needs_tending:
            rig.tend()


def test_a_drop_of_quality_raises_an_alarm_that_is_a_fact(rig):
    """One, of that model and metric, falling; the belief is opened at its position; no other metric's."""
    teach(rig, 120, 0.9, latency_ms=100.0)
    assert facts(rig, ChangeAlarm) == []
    spread = rig.state.routers["r"].belief.summary(rig.state.catalog.by_slot[0]).deviation
    rng = np.random.default_rng(1)
    while not facts(rig, ChangeAlarm):
        teach(rig, 1, 0.6, rng=rng, latency_ms=100.0)
    (alarm,) = facts(rig, ChangeAlarm)
    assert (alarm.router_id, alarm.slot, alarm.metric, alarm.rising) == ("r", 0, Metric.QUALITY, False)
    assert alarm.statistic > 10.0
    state = rig.state.routers["r"]
    assert state.decision_count < 120 + 12
    assert state.belief.summary(rig.state.catalog.by_slot[0]).deviation > 3 * spread
    assert state.changes.alarm_counts == {0: [1, 0, 0]}
    same_everywhere(rig)
    teach(rig, 12, 0.6, rng=rng, latency_ms=100.0)
    assert state.belief.summary(rig.state.catalog.by_slot[0]).quality == pytest.approx(0.6, abs=0.06)


def test_latency_and_cost_have_detectors_of_their_own(rig):
    """Ten times the latency: an alarm of latency, rising."""
    rng = np.random.default_rng(4)
    for made in rig.decide(200):
        latency = 100.0 * float(np.exp(0.1 * rng.standard_normal()))
        rig.report(made, latency_ms=latency * (10.0 if made[0] > 150 else 1.0), cost_usd=0.01)
        if rig.writer.needs_tending:
            rig.tend()
    first = facts(rig, ChangeAlarm)[0]
    assert (first.metric, first.rising) == (Metric.LATENCY, True)


def test_without_detection_there_is_no_alarm(open_rig):
    """The parameter switches it."""
    rig = open_rig()
    rig.change(model_change(0))
    rig.change(model_change(1))
    rig.change(router_change(preset="constant", parameters={"change_detection": 0.0}))
    teach(rig, 60, 0.9)
    teach(rig, 60, 0.2)
    assert facts(rig, ChangeAlarm) == []


def test_alarms_survive_restarts_and_refits(open_rig, rig):
    """A fit rebuilds the belief from the log, alarms in their places; a crash before the alarm is logged loses none."""
    teach(rig, 100, 0.9)
    teach(rig, 20, 0.5)
    teach(rig, 180, 0.5)
    assert len(facts(rig, FeatureFit)) >= 2
    assert facts(rig, ChangeAlarm)
    same_everywhere(rig)
    rig.crash()
    rig = open_rig()
    same_everywhere(rig)
    # Past the threshold and killed before anyone tended to it.
    rng = np.random.default_rng(3)
    for made in rig.decide(40):
        rig.report(made, quality=float(np.clip(0.95 + 0.02 * rng.standard_normal(), 0, 1)))
    count = len(facts(rig, ChangeAlarm))
    assert rig.state.routers["r"].changes.any_due
    rig.crash()
    rig = open_rig()
    assert rig.writer.needs_tending
    rig.tend()
    assert len(facts(rig, ChangeAlarm)) == count + 1
    same_everywhere(rig)


def test_a_rebuild_does_alarms_and_siblings_again_in_their_places(rig):
    """A change of the policy that the belief does not depend on gives the very bits that were learnt live."""
    teach(rig, 60, 0.9)
    rig.change(model_change(2, sibling_model_id="m0"))
    teach(rig, 20, 0.5)
    teach(rig, 20, 0.7, slot=1)
    for made in rig.decide(5, slots=(0, 1, 2), slot=2):
        rig.report(made, quality=0.75)
    rig.change(model_change(3, sibling_model_id="m1"))
    assert facts(rig, ChangeAlarm)
    state = rig.state.routers["r"]
    before = state.belief.digest()
    rig.change(router_change(parameters={"alpha": 1.5}))
    assert state.policy.exploration == 1.5
    assert state.belief.digest() == before
    same_everywhere(rig)


def test_a_model_added_to_running_traffic_is_new_until_it_is_known(rig):
    """Fifteen qualities; a model of the beginning never is, for then all are new."""
    assert published(rig).newcomers == frozenset()
    teach(rig, 15, 0.8)
    rig.change(model_change(2))
    assert published(rig).newcomers == {2}
    assert published(rig).share_caps.tolist() == [1.0, 1.0, 0.2]
    same_everywhere(rig)
    for made in rig.decide(14, slots=(0, 1, 2), slot=2):
        rig.report(made, quality=0.5)
    rig.report(rig.decide(1, slots=(0, 1, 2), slot=2)[0], latency_ms=3.0)
    assert published(rig).newcomers == {2}
    rig.report(rig.decide(1, slots=(0, 1, 2), slot=2)[0], quality=0.5)
    assert published(rig).newcomers == frozenset()
    assert (published(rig).share_caps == 1.0).all()
    same_everywhere(rig)


def test_a_newcomer_may_have_its_share_of_the_money_too(rig):
    """Of the fiftieth that other exploration has, it would be known ten times later."""
    rig.change(router_change(budget=Budget(1.0)))
    teach(rig, 15, 0.8)
    view = published(rig).pacer
    idle = view.pacing.allowance_usd - 0.02 * view.target_usd
    rig.change(model_change(2))
    view = published(rig).pacer
    assert view.pacing.allowance_usd == pytest.approx(0.2 * view.target_usd + idle)
    same_everywhere(rig)


def test_a_budget_starts_from_the_prompts_that_were_seen(rig):
    """Each prompt of which a quality was learnt is one of the contexts for which the first price is computed."""
    teach(rig, 5, 0.8, cost_usd=1e-4)
    teach(rig, 5, 0.3, slot=1, cost_usd=1e-5)
    rig.change(router_change(budget=Budget(5e-5)))
    before = published(rig).pacer
    assert before.pacing.high > 0.0
    # Nothing new, no new price: it would take a millisecond of every group that is committed.
    assert rig.state.publish().routers["r"] is rig.state.publish().routers["r"]
    made = rig.decide(1)[0]
    costs = rig.state.routers["r"].pacer.to_arrays()["cost"]
    assert np.isfinite(costs).all(axis=1).sum() == 10
    assert len(np.unique(costs[1:10, 0])) == 9
    # The first decision is expected to cost as much as nobody else; the price follows it with the others.
    assert costs[0].tolist() == [0.5, 0.5]
    same_everywhere(rig)
    rig.report(made, quality=0.5)
    same_everywhere(rig)


def test_an_alarm_prices_a_budget_by_what_is_believed_now(open_rig, rig):
    """Not by what decisions expected before it, until they are gone: with each decision and each outcome anew."""
    rig.change(router_change(budget=Budget(2e-4)))
    teach(rig, 120, 0.9, cost_usd=1e-4)
    # The rig's decisions expect both models to cost half a dollar: no price would do.
    assert published(rig).pacer.pacing.low > 1e3
    rng = np.random.default_rng(1)
    while not facts(rig, ChangeAlarm):
        teach(rig, 1, 0.6, rng=rng, cost_usd=1e-4)
    # The belief knows what model 0 costs, and that the budget pays for it.
    assert published(rig).pacer.pacing.high == 0.0
    made = rig.decide(1)[0]
    owing = published(rig).pacer.pacing
    assert owing.high > 0.0
    same_everywhere(rig)
    rig.crash()
    rig = open_rig()
    assert published(rig).pacer.pacing == owing
    rig.report(made, quality=0.6, cost_usd=1e-4)
    assert published(rig).pacer.pacing.high == 0.0
    same_everywhere(rig)
    teach(rig, 126, 0.6, rng=rng, cost_usd=1e-4)
    assert published(rig).pacer.pacing.high == 0.0
    teach(rig, 10, 0.6, rng=rng, cost_usd=1e-4)
    assert published(rig).pacer.pacing.low > 1e3
    same_everywhere(rig)


def test_a_router_that_begins_to_offer_a_model_finds_it_new(rig):
    """New is new to the router."""
    rig.change(router_change(model_ids=("m0",)))
    teach(rig, 15, 0.8)
    rig.change(model_change(2))
    assert published(rig).newcomers == frozenset()
    rig.change(router_change(model_ids=("m0", "m1", "m2")))
    assert published(rig).newcomers == {1, 2}
    same_everywhere(rig)


def test_a_sibling_starts_from_what_was_learnt_of_it_even_after_a_refit(rig):
    """The estimate of then, at full uncertainty; a fit of the encoding does it again in its place."""
    teach(rig, 60, 0.9)
    rig.change(model_change(2, sibling_model_id="m0"))
    state, by_slot = rig.state.routers["r"], rig.state.catalog.by_slot
    assert state.belief.summary(by_slot[2]).quality == pytest.approx(state.belief.summary(by_slot[0]).quality)
    assert state.belief.summary(by_slot[2]).deviation > 5 * state.belief.summary(by_slot[0]).deviation
    same_everywhere(rig)
    teach(rig, 220, 0.9)
    assert state.fit_position > 0
    assert state.belief.summary(by_slot[2]).quality == pytest.approx(0.9, abs=0.1)
    same_everywhere(rig)


def test_evidence_halves_with_decisions_and_hours():
    """0.5 a half-life, worked by hand; applied in steps of a fifth, and nothing is lost between."""
    from banditd.domain.router import PolicySpec
    from banditd.policies.registry import resolve

    change = resolve(PolicySpec("linucb", {"half_life_decisions": 100.0, "half_life_hours": 10.0})).change
    changes, hour = Changes(), 3_600_000
    assert changes.see(0, change, 0, 0) == 1.0
    assert changes.see(0, change, 10, 0) == 1.0
    assert changes.seen[0] == Seen(10, 0, 0.95)
    assert changes.see(0, change, 110, 0) == pytest.approx(0.475)
    assert changes.seen[0].share == 1.0
    assert changes.see(0, change, 110, 20 * hour) == 0.25
    assert changes.see(0, change, 110 + 10**7, 20 * hour) == pytest.approx(0.0, abs=1e-15)
    stale = resolve(PolicySpec("linucb", {"stale_half_life_decisions": 100.0})).change
    for at in range(0, 640, 64):
        assert changes.see(1, stale, at, 0) == 1.0
    assert changes.see(1, stale, 576 + 164, 0) == 0.5


@pytest.mark.parametrize("name, value", [("half_life_decisions", 50.0), ("half_life_hours", 0.01)])
@pytest.mark.parametrize("preset", ["linucb", "adaptive"])
def test_half_lives_fold_alike_everywhere(open_rig, clock, name, value, preset):
    """Time and decisions are in the log, so that live, recovered and folded states are the same bits."""
    rig = open_rig()
    rig.change(model_change(0))
    rig.change(model_change(1))
    rig.change(router_change(preset=preset, parameters={name: value, "stale_half_life_decisions": 20.0}))
    from .conftest import start_of

    rig.change(*start_of(rig))
    for i in range(30):
        clock.advance(7_000)
        rig.report(rig.decide(4, slot=i % 7 == 0)[0], quality=0.5)
        if i == 15:
            rig.take_snapshot()
    # A guess that counts for ten, and what is left of thirty qualities.
    assert sum(arm.quality.noise_weight for arm in rig.state.routers["r"].belief._arms.values()) < 45
    snapshot, again = published(rig), recover(rig.log, rig.snapshots).publish().routers["r"]
    np.testing.assert_array_equal(snapshot.belief.offsets, again.belief.offsets)
    same_everywhere(rig)


def test_an_alarm_that_falls_silent_before_anybody_asks_is_none():
    """Else the writer would be asked to tend for ever, and a stop would forget what was due."""
    changes = Changes()
    for _ in range(200):
        changes.watch(0, (0.1, 0.1, 0.1))
        changes.watch(0, (-0.1, -0.1, -0.1))
    while not changes.any_due:
        changes.watch(0, (3.0, 0.0, 0.0))
    assert len(list(changes.due("r"))) == 1
    for _ in range(20):
        changes.watch(0, (-3.0, 0.0, 0.0))
        assert changes.any_due == bool(list(changes.due("r")))
