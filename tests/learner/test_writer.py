"""The writer's thread: nothing is acknowledged that is not stored, and nobody waits for ever."""

import errno
import gc
import os
import resource
import shutil
import signal
import subprocess
import threading

import lmdb
import msgspec
import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Resolution
from banditd.domain.outcome import Outcome, OutcomeStatus
from banditd.domain.records import Expiry, FeatureFit, OutcomeRecord, RouterChange
from banditd.errors import (
    AlreadyExistsError,
    NotFoundError,
    Reason,
    ResourceExhaustedError,
    UnavailableError,
)
from banditd.learner import writer as writer_module
from banditd.learner.commands import ChangeSettings, LogDecisions, RecordOutcomes, TakeSnapshot, Tend
from banditd.learner.writer import REQUEST_MEMORY_MS, WriterSettings
from banditd.store.log import Batch, request_key

from .conftest import start_of
from .rig import Rig, digests_of
from .world import WINDOW_MS, decision, model_change, router_change


def balance(counts):
    """Return 0 for sound books."""
    return 2 * counts["received"] - sum(counts.values())


class Gate:
    """Holds commits back while it is shut."""

    def __init__(self, commit):
        self._commit = commit
        self._opened = threading.Event()
        self._opened.set()
        self._reached = threading.Event()

    def commit(self, batch):
        self._reached.set()
        assert self._opened.wait(60)
        self._commit(batch)

    def shut(self, rig):
        """Shut it with one decision on its way; whatever is submitted next waits for that."""
        self._opened.clear()
        self._reached.clear()
        waiter = rig.submit(rig.decisions(1))
        assert self._reached.wait(60)
        return waiter

    def open(self):
        self._opened.set()


@pytest.fixture
def gate(monkeypatch):
    """A gate before the disk."""
    made = Gate(Batch.commit)
    monkeypatch.setattr(Batch, "commit", lambda batch: made.commit(batch))  # noqa: PLW0108 - takes the batch as self
    return made


def test_an_answer_means_that_it_is_on_disk(rig):
    """When an outcome is answered, another reader of the directory finds it."""
    made = rig.decide()[0]
    assert rig.log.find_decision(made[0]).record.decision_id == made[1]
    ruling = rig.report(made, quality=0.5)
    assert ruling.status is OutcomeStatus.APPLIED
    ledger = rig.log.ledger(made[0])
    assert rig.log.get(ledger.positions[0]).record.ruling == ruling


def test_what_waits_together_is_committed_together(rig, gate):
    """A slow disk makes groups larger, not queues longer."""
    rig.groups.clear()
    waiting = [gate.shut(rig), *(rig.submit(rig.decisions(1)) for _ in range(50))]
    gate.open()
    for waiter in waiting:
        assert rig.wait(waiter) is None
    assert [len(jobs) for jobs in rig.groups] == [1, 50]


@pytest.mark.parametrize("limit", ["commands", "records"])
def test_a_group_is_bounded(open_rig, gate, monkeypatch, limit):
    """Neither many commands nor large ones make a commit that memory or the map cannot hold."""
    settings = WriterSettings(10_000, 7 if limit == "commands" else 1000, 10**6, 10**9, 3)
    monkeypatch.setattr(writer_module, "_GROUP_RECORDS_MAX", 21)
    rig = open_rig(settings)
    waiting = [gate.shut(rig), *(rig.submit(rig.decisions(3)) for _ in range(40))]
    gate.open()
    for waiter in waiting:
        assert rig.wait(waiter) is None
    assert max(len(jobs) for jobs in rig.groups) == 7


def test_an_outcome_finds_a_decision_of_its_own_group(rig, gate):
    """An outcome that is as quick as its decision's commit is learnt."""
    blocker = gate.shut(rig)
    command = rig.decisions(1)
    position = rig.writer.next_position
    rig.submit(command)
    outcome = Outcome(command.decisions[0].decision_id, quality=0.5)
    waiter = rig.submit(RecordOutcomes(((position, outcome), (position, outcome))))
    gate.open()
    rig.wait(blocker)
    first, second = rig.wait(waiter)
    assert (first.status, second.status) == (OutcomeStatus.APPLIED, OutcomeStatus.DUPLICATE)
    assert rig.state.routers["r"].observed == 1


def test_a_change_of_settings_sees_what_came_before_it_and_nothing_after(rig, gate):
    """Traffic before a change is judged by the old settings, traffic after it by the new ones."""
    made = rig.decide(2)
    seen = []
    gate.shut(rig)
    before = rig.submit(RecordOutcomes(((made[0][0], Outcome(made[0][1], input_tokens=10, output_tokens=10)),)))
    dearer = model_change(0, price=None)

    def decide(state):
        seen.append(state.position)
        return (dearer,)

    change = rig.submit(ChangeSettings(decide))
    after = rig.submit(RecordOutcomes(((made[1][0], Outcome(made[1][1], input_tokens=10, output_tokens=10)),)))
    gate.open()
    assert rig.wait(before)[0].lesson.cost_usd == pytest.approx(25e-6)
    assert rig.wait(change) is None
    assert rig.wait(after)[0].status is OutcomeStatus.NOT_LEARNED
    assert seen == [rig.log.ledger(made[0][0]).positions[0]]
    assert next(iter(rig.log.scan(seen[0]))).record == dearer


def test_a_refused_change_changes_nothing(rig):
    """What a change raises is its answer."""
    last = rig.log.last_position

    def decide(_):
        raise NotFoundError(Reason.MODEL_NOT_FOUND, "model_id: there is none")

    assert isinstance(rig.do(ChangeSettings(decide)), NotFoundError)
    assert rig.log.last_position == last
    assert rig.decide()


def test_a_full_queue_refuses(open_rig, gate):
    """Beyond the limit callers are told to back off, and what waited is answered."""
    rig = open_rig(WriterSettings(16, 4, 10**6, 10**9, 3))
    waiting = [gate.shut(rig), *(rig.submit(rig.decisions(1)) for _ in range(16))]
    with pytest.raises(UnavailableError) as caught:
        rig.submit(rig.decisions(1))
    assert caught.value.reason is Reason.OVERLOADED
    with pytest.raises(UnavailableError):
        rig.submit(RecordOutcomes(((1, Outcome(bytes(16))),)))
    assert balance(rig.books.all()) == 0
    gate.open()
    for waiter in waiting:
        assert rig.wait(waiter) is None
    assert rig.do(rig.decisions(1)) is None


def test_a_queue_of_large_commands_refuses(open_rig, gate, monkeypatch):
    """A thousand rows are a thousand records, though they are one command."""
    monkeypatch.setattr(writer_module, "_QUEUE_RECORDS_MAX", 100)
    rig = open_rig()
    waiting = [gate.shut(rig), *(rig.submit(rig.decisions(30)) for _ in range(4))]
    with pytest.raises(UnavailableError):
        rig.submit(rig.decisions(1))
    gate.open()
    for waiter in waiting:
        assert rig.wait(waiter) is None


def test_stopping_does_what_is_queued_however_full_the_queue_is(open_rig, gate):
    """What was taken is answered before the end, and the last state is stored."""
    rig = open_rig(WriterSettings(16, 4, 10**6, 10**9, 3))
    rig.change(router_change())
    waiting = [gate.shut(rig), *(rig.submit(rig.decisions(1)) for _ in range(16))]
    stopper = threading.Thread(target=rig.writer.stop)
    stopper.start()
    gate.open()
    stopper.join(60)
    assert not stopper.is_alive()
    assert all(rig.wait(waiter) is None for waiter in waiting)
    assert rig.snapshots.positions() == [rig.log.last_position]


def fill(rig, count=1):
    """Log decisions until the store refuses; return those that were acknowledged and the refusal."""
    made = []
    for _ in range(10_000):
        start = rig.writer.next_position
        command = rig.decisions(count, dimension=500)
        answer = rig.do(command)
        if answer is not None:
            return made, answer
        made += [(start + i, d.decision_id) for i, d in enumerate(command.decisions)]
    raise AssertionError("the store never filled up")


def prepare(rig):
    """Make models and a router."""
    rig.change(model_change(0))
    rig.change(model_change(1))
    rig.change(router_change(dimension=500))
    rig.change(*start_of(rig))


def check_full(rig, made, refusal):
    """Nothing acknowledged is missing, nothing refused is there, books balance, and the writer lives."""
    assert isinstance(refusal, ResourceExhaustedError)
    assert refusal.reason is Reason.STORAGE_FULL
    assert rig.writer.failure is None
    logged = [e.position for e in rig.log.scan(0) if hasattr(e.record, "choice")]
    assert logged == [position for position, _ in made]
    answer = rig.do(RecordOutcomes(tuple((at, Outcome(decision_id, quality=0.5)) for at, decision_id in made)))
    assert isinstance(answer, ResourceExhaustedError)
    assert rig.books.all()["rejected"] == len(made)
    assert balance(rig.books.all()) == 0
    assert rig.writer.published.current.position == rig.log.last_position
    assert digests_of(rig.fold()) == rig.digests()


def test_a_full_map_refuses_and_lives(tmp_path, open_rig, clock):
    """A full map refuses writes; what was acknowledged stays, and with a larger map all goes on."""
    rig = open_rig(map_bytes=1 << 20)
    prepare(rig)
    made, refusal = fill(rig, 5)
    check_full(rig, made, refusal)
    rig.crash()
    rig = open_rig(map_bytes=8 << 20)
    assert rig.report(made[0], quality=0.5).status is OutcomeStatus.APPLIED
    assert balance(rig.books.all()) == 0


def test_a_full_disk_refuses_until_there_is_room(open_rig):
    """A file that may not grow stands for a full disk: writes are refused, and resume by themselves with room."""
    if signal.getsignal(signal.SIGXFSZ) is not signal.SIG_IGN:
        pytest.skip("needs SIGXFSZ to be ignored, as Python does by default")
    rig = open_rig()
    prepare(rig)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (rig.env.path / "data.mdb").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200_000, hard))
    try:
        made, refusal = fill(rig)
        check_full(rig, made, refusal)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert rig.report(made[0], quality=0.5).status is OutcomeStatus.APPLIED
    assert len(rig.decide(3, dimension=500)) == 3
    assert digests_of(rig.fold()) == rig.digests()
    assert balance(rig.books.all()) == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    path = tmp_path / "data"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_disk_that_is_really_full_refuses_until_there_is_room(small_disk, clock):
    """A write that is cut short, which LMDB calls an input/output error, is told from a broken disk."""
    ballast = small_disk / "lost+found"
    rig = Rig(small_disk, clock)
    try:
        prepare(rig)
        ballast.write_bytes(bytes(1 << 20))
        made, refusal = fill(rig)
        check_full(rig, made, refusal)
        ballast.unlink()
        assert rig.report(made[0], quality=0.5).status is OutcomeStatus.APPLIED
        assert len(rig.decide(3, dimension=500)) == 3
        assert digests_of(rig.fold()) == rig.digests()
    finally:
        rig.crash()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("kind", [OSError, lmdb.Error], ids=["OSError", "lmdb.Error"])
def test_no_room_is_told_from_a_broken_disk(rig, monkeypatch, code, kind):
    """A full disk, a used-up quota and a file too large pass; callers are told to come again."""
    error = OSError(code, os.strerror(code)) if kind is OSError else lmdb.Error(f"mdb_txn_commit: {os.strerror(code)}")
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "commit", raiser(error))
        answer = rig.do(rig.decisions(1))
        assert (type(answer), answer.reason) == (ResourceExhaustedError, Reason.STORAGE_FULL)
    assert rig.decide()


def raiser(error):
    """Return a commit that fails."""

    def commit(batch):
        batch._txn.abort()
        raise error

    return commit


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        lmdb.Error("mdb_txn_commit: Input/output error"),
        lmdb.PanicError("mdb_txn_commit: MDB_PANIC"),
        ValueError("a bug"),
        MemoryError(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("where", ["commit", "apply"])
def test_a_failure_stops_and_answers_everybody(rig, monkeypatch, gate, error, where):
    """After a failed sync nobody knows what the disk holds: every waiter is refused, and nothing more is taken."""
    made = rig.decide()[0]
    gate.shut(rig)
    waiting = [rig.submit(rig.decisions(1)) for _ in range(5)]
    waiting.append(rig.submit(RecordOutcomes(((made[0], Outcome(made[1], quality=0.5)),))))
    waiting.append(rig.submit(TakeSnapshot()))
    waiting.append(rig.submit(Tend()))
    waiting.append(rig.submit(ChangeSettings(lambda _: ())))
    if where == "commit":
        monkeypatch.setattr(Batch, "commit", raiser(error))
    else:

        def apply(*_):
            raise error

        monkeypatch.setattr(rig.state, "apply", apply)
    gate.open()
    answers = [rig.wait(waiter) for waiter in waiting]
    assert [type(answer) for answer in answers] == [UnavailableError] * len(answers)
    assert {answer.reason for answer in answers} == {Reason.STORAGE_ERROR}
    assert rig.writer.failure is error
    assert balance(rig.books.all()) == 0
    assert rig.books.all()["waiting"] == 0
    with pytest.raises(UnavailableError):
        rig.submit(rig.decisions(1))
    # One that was just being queued when the store failed is answered, too.
    late = writer_module.Job(Tend(), 10**6, 0, waiter := object())
    rig.writer._queue.append(late)
    rig.writer._wake.set()
    assert isinstance(rig.wait(waiter), UnavailableError)
    # The traceback refers to a transaction that was aborted.
    rig.writer.failure.__traceback__ = None
    gc.collect()


def test_nothing_of_a_failed_commit_comes_back(open_rig, monkeypatch):
    """After a failure and a restart, what was refused is not there, and what was acknowledged is."""
    rig = open_rig()
    rig.change(model_change(0))
    rig.change(model_change(1))
    rig.change(router_change())
    rig.change(*start_of(rig))
    made = rig.decide()[0]
    assert rig.report(made, outcome_id="a", latency_ms=5.0).status is OutcomeStatus.APPLIED
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "commit", raiser(OSError(errno.EIO, "Input/output error")))
        assert isinstance(rig.do(RecordOutcomes(((made[0], Outcome(made[1], "b", quality=0.5)),))), UnavailableError)
    rig.crash()
    rig = open_rig()
    assert rig.report(made, outcome_id="a", latency_ms=5.0).status is OutcomeStatus.DUPLICATE
    assert rig.report(made, outcome_id="b", quality=0.5).status is OutcomeStatus.APPLIED
    assert rig.state.routers["r"].observed == 1


def test_books_balance_while_outcomes_come(rig):
    """Received is what was answered and what waits, seen from another thread, at any moment, and after a restart."""
    made = rig.decide(200)
    stopping = threading.Event()
    seen = []

    def look():
        while not stopping.is_set():
            seen.append(rig.books.all())

    reader = threading.Thread(target=look)
    reader.start()
    waiting = []
    try:
        for turn in range(3):
            for i in range(0, 200, 10):
                outcomes = tuple(
                    (at, Outcome(decision_id, "o", quality=0.5 if turn < 2 else 0.25))
                    for at, decision_id in made[i : i + 10]
                )
                waiting.append(rig.submit(RecordOutcomes(outcomes)))
        for waiter in waiting:
            rig.wait(waiter)
    finally:
        stopping.set()
        reader.join()
    assert {balance(counts) for counts in seen} == {0}
    counts = rig.books.all()
    assert (counts["applied"], counts["duplicate"], counts["rejected"]) == (200, 200, 200)
    assert rig.log.counters("books") == rig.books.settled()


def test_an_outcome_of_a_lost_decision_is_kept_as_an_orphan(rig):
    """An id that is genuine, but whose decision was lost in a crash, is answered ORPHANED, each time, and kept."""
    lost = decision(decision_id=b"\7" * 16)
    position = rig.writer.next_position + 5
    kept = rig.decide()[0]
    for at in (position, kept[0]):
        ruling = rig.report((at, lost.decision_id), quality=0.5)
        assert ruling.status is OutcomeStatus.ORPHANED
    orphans = [e.record for e in rig.log.scan(0) if isinstance(e.record, OutcomeRecord)]
    assert [(o.router_id, o.decision_position, o.outcome.quality) for o in orphans] == [("", 0, 0.5)] * 2
    assert rig.books.all()["orphaned"] == 2
    assert rig.state.routers["r"].observed == 0
    assert digests_of(rig.fold()) == rig.digests()
    assert rig.report(kept, quality=0.5).status is OutcomeStatus.APPLIED


@pytest.mark.parametrize("default_quality", [None, 0.25])
def test_a_closed_window_expires_once(rig, clock, default_quality):
    """A decision without a quality ends with its window: with the default, or with nothing, and only once."""
    rig.change(router_change(default_quality=default_quality))
    made = rig.decide(5)
    rig.report(made[0], quality=0.75)
    rig.report(made[1], latency_ms=10.0)
    rig.report(made[2], served_slot=1)
    clock.advance(WINDOW_MS)
    rig.tend()
    assert rig.state.routers["r"].expired == 0
    clock.advance(1)
    for _ in range(3):
        rig.tend()
    expiries = [e.record for e in rig.log.scan(0) if isinstance(e.record, Expiry)]
    assert expiries == [Expiry("r", (made[1][0], made[3][0], made[4][0]), default_quality)]
    router = rig.state.routers["r"]
    assert (router.observed, router.expired, router.censored) == (1, 3, 1)
    learnt = router.belief.summary(rig.state.catalog.by_slot[0]).quality_count
    assert learnt == (1 if default_quality is None else 4)
    assert rig.report(made[3], quality=0.5).status is OutcomeStatus.LATE
    assert rig.log.ledger(made[3][0]).resolution is Resolution.EXPIRED
    assert digests_of(rig.fold()) == rig.digests()


def test_every_decision_has_its_own_routers_window(rig, clock):
    """Two routers with two windows expire at two times, though their decisions lie among each other."""
    rig.change(router_change("s", attribution_window_ms=10 * WINDOW_MS))
    rig.change(*start_of(rig, "s"))
    for _ in range(3):
        rig.decide(2)
        rig.decide(1, router_id="s")
    clock.advance(WINDOW_MS + 1)
    rig.tend()
    assert (rig.state.routers["r"].expired, rig.state.routers["s"].expired) == (6, 0)
    clock.advance(9 * WINDOW_MS)
    rig.tend()
    rig.tend()
    assert (rig.state.routers["r"].expired, rig.state.routers["s"].expired) == (6, 3)


def test_a_window_that_was_changed_holds_for_waiting_decisions(rig, clock):
    """A shorter window closes those that wait, a longer one leaves them open, and none is resolved twice."""
    rig.decide(2)
    clock.advance(WINDOW_MS // 2)
    rig.tend()
    rig.change(router_change(attribution_window_ms=WINDOW_MS // 4))
    rig.tend()
    assert rig.state.routers["r"].expired == 2
    late = rig.decide(1)[0]
    rig.change(router_change(attribution_window_ms=100 * WINDOW_MS))
    clock.advance(50 * WINDOW_MS)
    rig.tend()
    assert rig.state.routers["r"].expired == 2
    assert rig.report(late, quality=0.5).status is OutcomeStatus.APPLIED
    clock.advance(100 * WINDOW_MS)
    rig.tend()
    assert rig.state.routers["r"].expired == 2


def test_more_windows_than_one_turn_looks_at(rig, clock, monkeypatch):
    """A thousand windows that close at once are closed by turns, without waiting for the clock."""
    monkeypatch.setattr(writer_module, "_TENDED_ENTRIES", 64)
    monkeypatch.setattr(writer_module, "_EXPIRIES_PER_RECORD", 10)
    rig.decide(1000)
    clock.advance(WINDOW_MS + 1)
    rig.tend()
    assert rig.state.routers["r"].expired == 1000


def test_a_router_made_anew_has_nothing_to_do_with_the_old_one(rig, clock):
    """Outcomes and expiries of an old router's decisions teach the new one of its name nothing."""
    made = rig.decide(3)
    rig.change(RouterChange("r", None))
    rig.change(router_change(default_quality=0.0))
    rig.change(*start_of(rig))
    assert rig.report(made[0], quality=0.5).status is OutcomeStatus.LATE
    clock.advance(WINDOW_MS + 1)
    rig.tend()
    router = rig.state.routers["r"]
    assert (router.observed, router.expired, router.censored, router.decision_count) == (0, 0, 0, 0)
    assert router.belief.summary(rig.state.catalog.by_slot[0]).quality_count == 0
    assert digests_of(rig.fold()) == rig.digests()


def test_a_request_is_remembered_for_a_day(rig, clock):
    """For 24 hours a request's key leads to its decisions, then no more; batches count as one."""
    single = rig.decide(1, request_id="one")
    batch = rig.decide(5, request_id="many")
    assert rig.log.request(request_key("r", "one")) == (single[0][0], 1)
    assert rig.log.request(request_key("r", "many")) == (batch[0][0], 5)
    clock.advance(REQUEST_MEMORY_MS)
    rig.tend()
    assert rig.log.request(request_key("r", "one")) is not None
    clock.advance(1)
    again = rig.decide(1, request_id="one")
    rig.tend()
    assert rig.log.request(request_key("r", "many")) is None
    assert rig.log.request(request_key("r", "one")) == (again[0][0], 1)
    clock.advance(REQUEST_MEMORY_MS + 1)
    rig.tend()
    assert rig.log.request(request_key("r", "one")) is None


def test_a_snapshot_is_stored_when_it_is_due(open_rig, clock):
    """After so many entries, or so much time with a change, even if every turn has windows to close."""
    rig = open_rig(WriterSettings(1000, 100, 50, 10**9, 2))
    rig.change(model_change(0))
    rig.change(model_change(1))
    rig.change(router_change())
    rig.change(*start_of(rig))
    for _ in range(20):
        rig.decide(10)
        clock.advance(WINDOW_MS)
        rig.tend()
    taken = rig.snapshots.positions()
    assert len(taken) == 2
    assert rig.log.last_position - taken[0] < 50 + 513 + 10


def test_a_snapshot_is_stored_after_a_while(open_rig, clock):
    """A quiet server stores its state, too, and once it has, stores it no more."""
    rig = open_rig(WriterSettings(1000, 100, 10**6, 5000, 2))
    rig.change(model_change(0))
    rig.tend()
    assert rig.snapshots.positions() == []
    clock.advance(5000)
    rig.tend()
    first = rig.snapshots.positions()
    # A set of no router is empty: there is nothing to learn yet.
    assert first == []
    rig.change(router_change())
    clock.advance(5000)
    rig.tend()
    (position,) = rig.snapshots.positions()
    clock.advance(5000)
    rig.tend()
    assert rig.snapshots.positions() == [position]


def test_a_refused_snapshot_is_taken_again(open_rig, clock, monkeypatch):
    """A snapshot that found no room does not count as taken."""
    rig = open_rig(WriterSettings(1000, 100, 10**6, 5000, 2))
    rig.change(router_change())
    clock.advance(5000)
    with monkeypatch.context() as patch:
        patch.setattr(Batch, "commit", raiser(OSError(errno.ENOSPC, "No space left on device")))
        assert isinstance(rig.do(Tend()), ResourceExhaustedError)
        # A full disk is asked again by the clock, not in a tight loop.
        assert not rig.writer.needs_tending
    assert rig.snapshots.positions() == []
    rig.tend()
    assert len(rig.snapshots.positions()) == 1


def test_an_encoding_is_fitted_when_it_is_due(rig):
    """With enough prompts the encoding is fitted from the log, and again at four times as many."""
    rig.decide(255)
    rig.tend()
    assert not [e for e in rig.log.scan(0) if isinstance(e.record, FeatureFit) and e.record.prompt_count]
    rig.decide(1)
    assert rig.writer.needs_tending
    rig.tend()
    rig.decide(1024 - 257)
    rig.tend()
    rig.decide(1)
    rig.tend()
    fits = [e.record.prompt_count for e in rig.log.scan(0) if isinstance(e.record, FeatureFit)]
    assert fits == [0, 256, 1024]
    assert digests_of(rig.fold()) == rig.digests()


@pytest.mark.parametrize("value", [0.0, 1.0, 65504.0, 6e-8])
def test_prompts_that_are_all_alike_can_be_fitted(rig, value):
    """Degenerate prompts give a degenerate encoding, not a stop."""
    start = rig.decisions(300)
    same = Context(np.full(4, value, np.float16))
    rows = tuple(msgspec.structs.replace(d, context=same) for d in start.decisions)
    position = rig.writer.next_position
    assert rig.do(LogDecisions(rows)) is None
    rig.tend()
    assert rig.writer.failure is None
    ruling = rig.report((position, rows[0].decision_id), quality=0.5)
    assert ruling.status is OutcomeStatus.APPLIED
    assert rig.writer.failure is None
    assert digests_of(rig.fold()) == rig.digests()


def test_positions_are_those_of_submission(rig):
    """A command's position is known before it is done: a decision's id holds it."""
    position = rig.writer.next_position
    command = rig.decisions(3)
    assert rig.do(command) is None
    assert [rig.log.get(position + i).record.decision_id for i in range(3)] == [
        d.decision_id for d in command.decisions
    ]


def test_another_content_under_an_id_is_refused_and_counted(rig):
    """A conflict is an answer of its own outcome alone."""
    made = rig.decide(2)
    rig.report(made[0], outcome_id="o", quality=0.5)
    answers = rig.do(
        RecordOutcomes(
            (
                (made[0][0], Outcome(made[0][1], "o", quality=0.25)),
                (made[1][0], Outcome(made[1][1], "o", quality=0.25)),
            )
        )
    )
    assert isinstance(answers[0], AlreadyExistsError)
    assert answers[1].status is OutcomeStatus.APPLIED
    assert rig.books.all()["rejected"] == 1
