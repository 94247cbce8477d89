"""Snapshot and tail are the whole log, wherever the snapshot stands; what is damaged is passed over, never served."""

import dataclasses
import random

import numpy as np
import pytest

from banditd.domain.outcome import Lesson, Outcome
from banditd.domain.records import FeatureFit, LogEntry, OutcomeRecord, Restore
from banditd.errors import DataLossError, FailedPreconditionError
from banditd.features.encode import encode
from banditd.features.fit import seeded_spec
from banditd.features.spec import FeatureKind, decode_spec, encode_spec
from banditd.learner.commands import RecordOutcomes
from banditd.learner.recovery import recover, replay
from banditd.learner.router_state import RouterState
from banditd.learner.state import LearnerState
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.beliefs.slope_prior import FIRST_COUNT, GROWTH
from banditd.policies.snapshot_codec import decode_state
from banditd.store.log import position_key

from .conftest import start_of
from .rig import digests_of
from .world import WINDOW_MS, ListLog, model_change, router_change


def live(rig, clock, *, rounds=12, seed=0, snapshots=False):
    """Let two routers decide and learn, with late outcomes, expiries, prices that change and a fit of the encoding."""
    rng = random.Random(seed)
    rig.change(router_change("s", preset="constant", default_quality=0.25))
    rig.change(*start_of(rig, "s"))
    made = []
    for turn in range(rounds):
        made += rig.decide(30, slot=rng.randrange(2), rng=rng)
        rig.decide(3, router_id="s", slot=rng.randrange(2), rng=rng)
        for at, decision_id in rng.sample(made, 12):
            outcome = Outcome(
                decision_id,
                f"o{rng.randrange(4)}",
                quality=rng.choice([None, rng.random()]),
                latency_ms=rng.choice([None, rng.uniform(1, 1000)]),
                output_tokens=50,
                input_tokens=70,
                served_slot=rng.choice([-1, -1, -1, 0]),
            )
            rig.do(RecordOutcomes(((at, outcome),)))
        clock.advance(WINDOW_MS // 3)
        if turn % 4 == 3:
            rig.change(model_change(turn % 2, price=None if turn % 8 == 3 else model_change(1).model.price))
        rig.tend()
        if snapshots:
            rig.take_snapshot()
    return made


def folded_at(rig, position):
    """Return the log up to *position*, folded from empty."""
    return replay(LearnerState(), rig.log, position)


def test_snapshot_and_tail_are_the_whole_at_any_position(rig, clock):
    """A snapshot of any moment, and what came after it, give the state of the log folded from empty, bit for bit."""
    live(rig, clock)
    entries = list(rig.log.scan(0))
    whole = digests_of(rig.fold())
    assert whole == rig.digests()
    state = LearnerState()
    for entry in entries:
        state.apply(entry, rig.log)
        if entry.position % 7:
            continue
        copy = LearnerState()
        copy.catalog, copy.position = state.catalog, state.position
        for router_id, router in state.routers.items():
            copy.routers[router_id] = RouterState(router.router, router.policy)
            copy.routers[router_id].load(router.to_bytes())
        assert digests_of(copy) == digests_of(state)
        assert digests_of(replay(copy, rig.log)) == whole
    assert [e for e in entries if isinstance(e.record, FeatureFit) and e.record.prompt_count]


def test_a_restart_takes_the_newest_snapshot_and_the_tail(open_rig, rig, clock):
    """What a restart recovers is what was live, and it reads the tail only."""
    live(rig, clock, snapshots=True)
    rig.decide(5)
    before, newest = rig.digests(), rig.snapshots.positions()[0]
    rig.crash()
    again = open_rig()
    assert again.digests() == before
    read = []
    scan = again.log.scan
    again.log.scan = lambda after: (read.append(after), scan(after))[1]
    recover(again.log, again.snapshots)
    assert read == [newest]


def test_stopping_leaves_a_snapshot_of_the_end(open_rig, rig, clock):
    """After a stop in good order nothing is left to be folded."""
    live(rig, clock, rounds=3)
    last, before = rig.log.last_position, rig.digests()
    rig.stop()
    again = open_rig()
    assert again.snapshots.positions() == [last]
    assert again.digests() == before


def spoil(rig, position, router_id):
    """Flip a bit of a stored snapshot."""
    with rig.env.lmdb.begin(write=True, db=rig.env.snapshots) as txn:
        key = position_key(position) + router_id.encode()
        value = bytearray(txn.get(key))
        value[len(value) // 2] ^= 1
        txn.put(key, bytes(value))


def test_a_damaged_snapshot_is_passed_over_for_an_older_one(rig, clock):
    """One set after another may be damaged; the state stays the same, down to a fold of the whole log."""
    live(rig, clock, snapshots=True)
    whole = rig.digests()
    positions = rig.snapshots.positions()
    assert len(positions) == 3
    for position, router_id in zip(positions, ("r", "s", "r"), strict=True):
        spoil(rig, position, router_id)
        assert digests_of(recover(rig.log, rig.snapshots)) == whole


def test_an_incomplete_set_is_passed_over(rig, clock):
    """A set without one of the routers is none."""
    live(rig, clock, rounds=4, snapshots=True)
    whole = rig.digests()
    with rig.env.lmdb.begin(write=True, db=rig.env.snapshots) as txn:
        txn.delete(position_key(rig.snapshots.positions()[0]) + b"s")
    assert digests_of(recover(rig.log, rig.snapshots)) == whole


def test_a_damaged_log_is_not_served(rig, clock):
    """Where the log itself is damaged beyond the newest snapshot, a start is refused."""
    live(rig, clock, rounds=3, snapshots=True)
    made = rig.decide(3)
    with rig.env.lmdb.begin(write=True, db=rig.env.log) as txn:
        value = bytearray(txn.get(position_key(made[1][0])))
        value[-1] ^= 1
        txn.put(position_key(made[1][0]), bytes(value))
    with pytest.raises(DataLossError):
        recover(rig.log, rig.snapshots)


def test_a_fit_rebuilds_what_learning_under_it_from_the_start_would_have_given(rig, clock):
    """The belief after a fit is that of a belief that has only ever seen rows of the new encoding."""
    live(rig, clock)
    router = rig.state.routers["r"]
    (fit,) = [e for e in rig.log.scan(0) if isinstance(e.record, FeatureFit) and e.record.prompt_count]
    assert encode_spec(router.features) == fit.record.spec
    state = folded_at(rig, fit.position)
    spec = decode_spec(fit.record.spec)
    assert spec.categories == ("chat", "code")
    scratch = LinearBelief(router.policy, spec, router.router.quality_guess)
    lessons = 0
    for entry in rig.log.scan(0):
        record = entry.record
        if entry.position < fit.position and isinstance(record, OutcomeRecord) and record.ruling.lesson.metrics:
            if record.router_id != "r":
                continue
            decision = rig.log.decision(record.decision_position)
            row = encode(spec, decision.context)
            scratch.learn(state.catalog.by_slot[decision.slot], row, record.ruling.lesson)
            lessons += 1
    assert lessons > 20
    assert scratch.digest() == state.routers["r"].belief.digest()


@pytest.mark.parametrize("change", [{"parameters": {"alpha": 2.0, "slope_penalty": 3.0}}, {"quality_guess": 0.25}])
def test_a_changed_policy_relearns_from_the_log(rig, clock, change):
    """Other parameters give the belief that they would have given from the start."""
    live(rig, clock)
    rig.change(router_change(**change))
    state = rig.state.routers["r"]
    belief = LinearBelief(state.policy, state.features, state.router.quality_guess)
    for entry in rig.log.scan(0):
        record = entry.record
        if isinstance(record, OutcomeRecord) and record.router_id == "r" and record.ruling.lesson.metrics:
            decision = rig.log.decision(record.decision_position)
            row = encode(state.features, decision.context)
            belief.learn(rig.state.catalog.by_slot[decision.slot], row, record.ruling.lesson)
    assert belief.digest() == state.belief.digest()
    assert digests_of(rig.fold()) == rig.digests()


def test_another_kind_of_features_starts_anew_and_fits_again(rig, clock):
    """A policy that looks at the prompt otherwise gets its own encoding, seeded first, then fitted from the log."""
    live(rig, clock)
    rig.change(router_change(preset="nonlinear"))
    rig.change(*start_of(rig))
    rig.tend()
    router = rig.state.routers["r"]
    assert router.fit_position > 0
    assert router.belief.summary(rig.state.catalog.by_slot[0]).quality_count > 0
    assert digests_of(rig.fold()) == rig.digests()


def test_a_restored_state_is_that_of_its_snapshot_and_forgets_what_came_between(rig, clock):
    """After a restore the belief is the snapshot's, and no rebuild brings back what was taken back."""
    live(rig, clock, rounds=10)
    rig.take_snapshot()
    (stored,) = rig.snapshots.of_router("r")
    then = rig.state.routers["r"].belief.digest()
    poisoned = rig.decide(20)
    for one in poisoned:
        rig.report(one, quality=0.0)
    assert rig.state.routers["r"].belief.digest() != then
    rig.change(Restore("r", stored.position, stored.state))
    assert rig.state.routers["r"].belief.digest() == then
    rig.change(router_change(parameters={"alpha": 0.5}))
    parameters = rig.state.routers["r"].policy
    counted = rig.state.routers["r"].belief.summary(rig.state.catalog.by_slot[0]).quality_count
    belief = folded_at(rig, stored.position).routers["r"].belief
    assert counted == belief.summary(rig.state.catalog.by_slot[0]).quality_count
    assert parameters.values["alpha"] == 0.5
    assert digests_of(rig.fold()) == rig.digests()


def test_a_snapshot_of_another_dimension_is_refused(rig):
    """A state that was learnt from other embeddings cannot be loaded: its rows would not fit."""
    rig.decide(5)
    raw = rig.state.routers["r"].to_bytes()
    other = router_change(dimension=8).router
    with pytest.raises(FailedPreconditionError):
        RouterState(other, rig.state.routers["r"].policy).load_belief(*decode_state(raw))


def test_a_snapshot_of_another_policy_is_refused(rig):
    """So is one that was learnt by another policy or with other parameters."""
    rig.decide(5)
    state = rig.state.routers["r"]
    raw = state.to_bytes()
    for changed in (
        dataclasses.replace(state.policy, preset="adaptive"),
        dataclasses.replace(state.policy, values={**state.policy.values, "alpha": 3.0}),
    ):
        with pytest.raises(FailedPreconditionError):
            RouterState(state.router, changed).load_belief(*decode_state(raw))


@pytest.mark.parametrize("position", [0, 5, 100, -30, -1])
def test_a_damaged_state_is_refused(rig, clock, position):
    """Wherever a stored state was changed or cut, it is not loaded."""
    live(rig, clock, rounds=1)
    raw = bytearray(rig.state.routers["r"].to_bytes())
    raw[position] ^= 1
    for damaged in (bytes(raw), bytes(raw[:position]), b""):
        with pytest.raises(DataLossError):
            decode_state(damaged)


def test_the_order_of_outcomes_does_not_matter_where_nothing_is_forgotten():
    """Lessons in any order give the same belief, to rounding: late answers are no worse than quick ones.

    Their number is one at which the prior is chosen; between two of those it is the one of the lessons up to then.
    """
    rng = np.random.default_rng(0)
    lessons = [
        (int(rng.integers(2)), rng.normal(size=5).astype(np.float32), Lesson(float(rng.random()), 0.01, 1.0, 100.0))
        for _ in range(FIRST_COUNT * GROWTH)
    ]
    models = [model_change(slot).model for slot in range(2)]
    change = router_change(dimension=5)
    predictions = []
    for seed in range(4):
        state = LearnerState()
        state.apply(LogEntry(1, 0, model_change(0)), ListLog())
        state.apply(LogEntry(2, 0, model_change(1)), ListLog())
        state.apply(LogEntry(3, 0, change), ListLog())
        belief = LinearBelief(state.routers["r"].policy, seeded_spec(FeatureKind.LINEAR, 3, 1), 0.5)
        order = np.random.default_rng(seed).permutation(len(lessons)) if seed else range(len(lessons))
        for i in order:
            slot, row, lesson = lessons[i]
            belief.learn(models[slot], row, lesson)
        prediction = belief.freeze(tuple(models)).predict(lessons[0][1])
        predictions.append([*prediction.quality, *prediction.cost_usd, *prediction.latency_ms])
    np.testing.assert_allclose(predictions, [predictions[0]] * 4, rtol=1e-5)


def test_sessions_are_folded_and_come_back(rig, clock):
    """By the snapshot and what comes after it, and by the whole log: the same state, the same last models."""
    live(rig, clock, rounds=3)
    before = rig.digests()["r"]
    rig.decide(slot=1, session="early")
    for i in range(30):
        rig.decide(slot=i % 2, session=f"session {i % 7}")
        if i == 15:
            rig.take_snapshot()
    assert rig.digests()["r"] != before
    recovered = recover(rig.log, rig.snapshots)
    assert digests_of(recovered) == digests_of(rig.fold()) == rig.digests()
    for state in (recovered, rig.fold(), rig.state):
        assert [state.routers["r"].sessions.last(f"session {k}") for k in range(8)] == [0, 1, 1, 0, 1, 0, 1, -1]
        assert state.routers["r"].sessions.last("early") == 1
        assert state.publish().routers["r"].sessions is state.routers["r"].sessions
        assert len(state.routers["s"].sessions) == 0
