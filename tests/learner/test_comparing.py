"""Comparisons on a real writer and directory: once each, whatever is repeated, lost or started anew."""

import numpy as np
import pytest

from banditd.domain.comparison import Comparison, Winner
from banditd.domain.context import Context
from banditd.domain.outcome import OutcomeStatus
from banditd.domain.records import ComparisonRecord, RouterChange
from banditd.errors import AlreadyExistsError, NotFoundError
from banditd.learner.commands import RecordComparison

from .rig import Rig
from .world import WINDOW_MS, FakeClock, model_change, router_change

PRESETS = ("linucb", "duel", "constant", "adaptive")


def prompt(seed):
    """Return a prompt."""
    return Context(np.random.default_rng(seed).normal(size=4).astype(np.float16))


def said(seed=0, **changes):
    """Return a command to record a comparison of a prompt of its own."""
    values = {"slot_a": 0, "slot_b": 1, "winner": Winner.A} | changes
    rig_values = {name: values.pop(name) for name in ("router_id",) if name in values}
    return RecordComparison(rig_values.get("router_id", "r"), 0, prompt(seed), Comparison(**values))


@pytest.fixture(params=PRESETS)
def path(request, tmp_path):
    """A directory with two models and a router."""
    rig = Rig(tmp_path, FakeClock())
    from banditd.learner.router_state import missing_fits

    rig.change(model_change(0), model_change(1))
    rig.change(router_change("r", preset=request.param))
    rig.change(*missing_fits(rig.state.routers["r"].router))
    rig.stop()
    return tmp_path


def answered(rig, command):
    """Record a comparison; return its status or the refusal."""
    rig.books.receive(1)
    (answer,) = rig.do(command)
    return getattr(answer, "status", answer)


def test_live_recovered_and_folded_states_are_the_same_bits(path):
    """Comparisons among decisions and outcomes, with a snapshot halfway."""
    rig = Rig(path, FakeClock())
    for i in range(40):
        (made,) = rig.decide()
        rig.report(made, quality=0.25 + 0.5 * (i % 2))
        winner = list(Winner)[i % 4]
        assert answered(rig, said(i, winner=winner, judge=f"j{i % 3}")) is OutcomeStatus.APPLIED
        if i == 20:
            rig.take_snapshot()
    live = rig.digests()
    assert rig.fold().routers["r"].digest() == live["r"]
    assert rig.state.routers["r"].comparison_count == 40
    counts = rig.books.all()
    assert counts["received"] == sum(n for name, n in counts.items() if name != "received")
    rig.stop()
    again = Rig(path, FakeClock())
    assert again.digests() == live
    again.stop()


def test_a_retry_after_a_restart_changes_nothing(path):
    """The id is remembered with the record, in one commit; other content under it is refused."""
    rig = Rig(path, FakeClock())
    assert answered(rig, said(1, comparison_id="c")) is OutcomeStatus.APPLIED
    assert answered(rig, said(1, comparison_id="c")) is OutcomeStatus.DUPLICATE
    digest = rig.digests()
    rig.stop()
    rig = Rig(path, FakeClock())
    assert answered(rig, said(1, comparison_id="c")) is OutcomeStatus.DUPLICATE
    assert isinstance(answered(rig, said(2, comparison_id="c")), AlreadyExistsError)
    assert isinstance(answered(rig, said(1, comparison_id="c", winner=Winner.B)), AlreadyExistsError)
    assert rig.digests() == digest
    assert [type(e.record) for e in rig.log.scan(0)].count(ComparisonRecord) == 1
    rig.stop()


def test_what_is_late_or_lost_is_kept_and_not_learnt(path):
    """By the window of the decision; of a decision that never reached the disk nothing is known."""
    clock = FakeClock()
    rig = Rig(path, clock)
    ((position, decision_id),) = rig.decide()
    before = rig.digests()
    clock.advance(WINDOW_MS + 1)
    about = Comparison(0, 1, Winner.A, decision_id=decision_id)
    assert answered(rig, RecordComparison("", position, None, about)) is OutcomeStatus.LATE
    lost = Comparison(0, 1, Winner.A, decision_id=bytes(16))
    assert answered(rig, RecordComparison("", 10**6, None, lost)) is OutcomeStatus.ORPHANED
    assert rig.digests() == before
    rig.stop()


def test_a_router_made_anew_knows_nothing_of_its_namesake(path):
    """Neither its comparisons nor their ids."""
    rig = Rig(path, FakeClock())
    assert answered(rig, said(1, comparison_id="c")) is OutcomeStatus.APPLIED
    rig.change(RouterChange("r", None))
    assert isinstance(answered(rig, said(2)), NotFoundError)
    rig.change(router_change("r"))
    assert answered(rig, said(1, comparison_id="c", winner=Winner.B)) is OutcomeStatus.APPLIED
    assert rig.state.routers["r"].comparison_count == 1
    rig.stop()
