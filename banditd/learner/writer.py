"""The one thread that changes anything: takes commands, commits them in groups, then applies, then publishes."""

import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from banditd.catalog.health import HealthSettings, judge, note, turn
from banditd.domain.clock import Clock
from banditd.domain.decision import Decision, Resolution
from banditd.domain.health import ModelHealth
from banditd.domain.ledger import NEW_ENTRY
from banditd.domain.outcome import Failure, Outcome, OutcomeStatus, Ruling
from banditd.domain.promotion import Promotion
from banditd.domain.records import ChangeAlarm, ComparisonRecord, Expiry, HealthChange, LogEntry, OutcomeRecord, Record
from banditd.domain.snapshot import HEALTH, StoredSnapshot
from banditd.errors import (
    BanditdError,
    InvalidArgumentError,
    NotFoundError,
    Reason,
    ResourceExhaustedError,
    UnavailableError,
)
from banditd.learner.attribution import first_entry, health_slot, rule
from banditd.learner.books import Books, name_of
from banditd.learner.commands import (
    ALARMS_PER_TENDING,
    Answer,
    ChangeSettings,
    Command,
    ImportHistory,
    LogDecisions,
    OutcomeAnswer,
    RecordComparison,
    RecordOutcomes,
    TakeSnapshot,
    Tend,
    positions_of,
    records_of,
)
from banditd.learner.comparing import check_repetition, identity, rule_comparison
from banditd.learner.importing import import_key, new_records
from banditd.learner.publish import SnapshotRef
from banditd.learner.router_state import FIT_PROMPTS_MAX, due_fit, promotion_records
from banditd.learner.state import LearnerState
from banditd.store.codec import DECISION
from banditd.store.env import STORE_ERRORS
from banditd.store.log import Batch, Log, request_key

# Log entries that one turn of tending looks at: tens of milliseconds.
_TENDED_ENTRIES: Final = 1024
_EXPIRIES_PER_RECORD: Final = 1000
# Decisions and outcomes per commit, however many commands they come in: some ten megabytes of pages.
_GROUP_RECORDS_MAX: Final = 4096
# Decisions and outcomes that may wait. A command may hold a thousand, so that a limit on commands is none on memory.
_QUEUE_RECORDS_MAX: Final = 65_536
_NEWS_MAX: Final = 1024
REQUEST_MEMORY_MS: Final = 24 * 3600 * 1000
_NO_END: Final = 1 << 62
# A window that no time fits in.
_CLOSED: Final = -1
_ORPHANED: Final = Ruling(OutcomeStatus.ORPHANED)
# Names of the tables of counters.
_REQUESTS, _WINDOWS = "requests", "windows"


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Limits and rhythm of the writer.

    Attributes:
        queue_commands_max: Commands that may wait; beyond, callers are refused.
        group_commands_max: Commands per commit.
        snapshot_entries: Log entries after which a snapshot is stored.
        snapshot_interval_ms: Time after which a snapshot is stored if anything changed.
        snapshots_kept: Sets of snapshots that are kept.
        health: When a model is left out.
    """

    queue_commands_max: int
    group_commands_max: int
    snapshot_entries: int
    snapshot_interval_ms: int
    snapshots_kept: int
    health: HealthSettings = HealthSettings()


class Job(msgspec.Struct, gc=False):
    """A command on its way.

    Attributes:
        command: What is asked for.
        position: The first of the log positions reserved for it.
        time_ms: When it was submitted.
        waiter: Gets the answer; None where nobody waits. The writer never touches it.
        answer: The answer so far.
    """

    command: Command
    position: int
    time_ms: int
    waiter: object
    answer: Answer = None
    submit_ns: int = msgspec.field(default_factory=time.monotonic_ns)


class Writer:
    """Owns the learner's state and every write transaction.

    Positions are reserved and commands submitted by one thread, so that the queue is in the order of positions.

    Args:
        state: As recovered.
        log: The open log.
        books: The books of outcomes.
        clock: Tells the time.
        settings: Limits.
        on_group: Called on the writer's thread after each group, with its jobs; delivers their answers.
    """

    def __init__(
        self,
        state: LearnerState,
        log: Log,
        books: Books,
        clock: Clock,
        settings: WriterSettings,
        on_group: Callable[[list[Job]], None],
    ) -> None:
        self._state = state
        self._log = log
        self._books = books
        self._clock = clock
        self._settings = settings
        self._on_group = on_group
        self._queue: deque[Job] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="banditd-writer", daemon=True)
        self._next_position = state.position + 1
        self._snapshot_position = state.position
        self._snapshot_time_ms = clock.now_ms()
        # Written by the submitting thread and by the writer's, each its own: the difference is what waits.
        self._submitted_records = 0
        self._taken_records = 0
        self._tends_submitted = 0
        self._tends_done = 0
        self._tending_again = False
        self._tending_refused = False
        self._oldest_ns = 0
        self.last_group_commands = 0
        self.failure: BaseException | None = None
        # Changes of health, alarms and promotions that are on disk, for whoever tells of them; the oldest go first.
        self.news: deque[LogEntry] = deque(maxlen=_NEWS_MAX)
        self.published = SnapshotRef(state.publish())

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Do what is queued, store a snapshot, and end the thread."""
        # However full the queue is.
        self._queue.append(Job(TakeSnapshot(), self._next_position, self._clock.now_ms(), None))
        self._stopping = True
        self._wake.set()
        self._thread.join()

    @property
    def queued(self) -> int:
        """Commands that wait."""
        return len(self._queue)

    @property
    def oldest_age_s(self) -> float:
        """Age of the oldest command that is not on disk yet; 0 where there is none."""
        oldest = self._oldest_ns
        return 0.0 if oldest == 0 else (time.monotonic_ns() - oldest) * 1e-9

    @property
    def next_position(self) -> int:
        """The position that the next command gets; the submitting thread only."""
        return self._next_position

    @property
    def needs_tending(self) -> bool:
        """Whether something is due now, rather than at the next turn of the clock."""
        if self._tends_submitted > self._tends_done or self._tending_refused:
            return False  # soon, or at the next turn of the clock: a full disk is not to be asked in a tight loop
        return self._tending_again or any(
            router.fit_is_due or router.changes.any_due for router in list(self._state.routers.values())
        )

    def check_room(self) -> None:
        """Raise if a command would be refused.

        Raises:
            UnavailableError: `OVERLOADED`: too many commands wait; `STORAGE_ERROR`: the store has failed.
        """
        if self.failure is not None:
            raise UnavailableError(Reason.STORAGE_ERROR, "the store has failed; the server is stopping")
        waiting_records = self._submitted_records - self._taken_records
        if len(self._queue) >= self._settings.queue_commands_max or waiting_records >= _QUEUE_RECORDS_MAX:
            raise UnavailableError(Reason.OVERLOADED, "too many requests wait for the disk; try again later")

    def submit(self, command: Command, time_ms: int, waiter: object = None, *, wake: bool = True) -> int:
        """Queue a command; returns the first of its log positions. Raises as `check_room`.

        Args:
            command: What is asked for.
            time_ms: When its facts became true.
            waiter: Handed back with the answer.
            wake: Whether it is to be done now. If not, the caller sees to it that `wake` is called soon.
        """
        self.check_room()
        position = self._next_position
        self._next_position += positions_of(command)
        if isinstance(command, Tend):
            self._tends_submitted += 1
        else:
            self._submitted_records += records_of(command)
        self._queue.append(Job(command, position, time_ms, waiter))
        if wake:
            self.wake()
        return position

    def wake(self) -> None:
        """Have done what is queued."""
        # Looking is cheaper than waking. Where it is set still, the writer has yet to look at the queue again.
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            # What is queued meanwhile may be gathering, and comes with a waking of its own.
            queued = len(self._queue)
            while queued > 0 or (self._stopping and self._queue):
                jobs = self._next_group()
                self.last_group_commands = len(jobs)
                queued -= len(jobs)
                self._oldest_ns = jobs[0].submit_ns
                try:
                    # After a failure the thread stays to refuse: a command that was just being queued gets its answer.
                    if self.failure is None:
                        self._work(jobs)
                except BaseException as error:  # noqa: BLE001 - whatever it is, nothing more may be acknowledged
                    self.failure = error
                if self.failure is not None:
                    self._refuse(jobs, UnavailableError(Reason.STORAGE_ERROR, "the store has failed"))
                self._oldest_ns = 0
            if self._stopping and not self._queue:
                return

    def _next_group(self) -> list[Job]:
        """Take the commands that are committed together: a run of traffic, or one command of another kind.

        What changes settings sees the state after everything before it, and nothing sees a half-made change.
        """
        jobs = [self._queue.popleft()]
        records = records_of(jobs[0].command)
        if _is_traffic(jobs[0]):
            while self._queue and len(jobs) < self._settings.group_commands_max and _is_traffic(self._queue[0]):
                records += records_of(self._queue[0].command)
                if records > _GROUP_RECORDS_MAX:
                    break
                jobs.append(self._queue.popleft())
        if isinstance(jobs[0].command, Tend):
            self._tends_done += 1
        else:
            self._taken_records += sum(records_of(job.command) for job in jobs)
        return jobs

    def _refuse(self, jobs: list[Job], error: BanditdError) -> None:
        for job in jobs:
            job.answer = error
            if isinstance(job.command, Tend):
                self._tending_refused = True
            if isinstance(job.command, RecordOutcomes):
                self._books.settle({None: len(job.command.outcomes)})
            elif isinstance(job.command, RecordComparison):
                self._books.settle({None: 1})
        self._on_group(jobs)

    def _work(self, jobs: list[Job]) -> None:
        """Commit a group, then apply and publish it; on a full disk refuse it and stay alive."""
        group = Group(self._log.begin(), self._clock.now_ms())
        try:
            for job in jobs:
                self._write(group, job)
            self._books_after(group)
            group.batch.commit()
        except STORE_ERRORS as error:
            group.batch.abort()
            if not group.batch.is_full(error):
                raise
            self._refuse(jobs, ResourceExhaustedError(Reason.STORAGE_FULL, "the disk or the map is full"))
            return
        except BaseException:
            group.batch.abort()
            raise
        for entry in group.entries:
            self._state.apply(entry, self._log)
            if isinstance(entry.record, HealthChange | ChangeAlarm | Promotion):
                self.news.append(entry)
        if group.snapshot_position:
            self._snapshot_position, self._snapshot_time_ms = group.snapshot_position, group.now_ms
        if group.entries:
            self.published.current = self._state.publish()
        self._books.settle(group.statuses)
        self._on_group(jobs)

    def _books_after(self, group: "Group") -> None:
        if group.statuses:
            counts = self._books.settled()
            for status, count in group.statuses.items():
                counts[name_of(status)] += count
            group.batch.put_counters("books", counts)

    def _write(self, group: "Group", job: Job) -> None:
        command = job.command
        if isinstance(command, LogDecisions):
            self._write_decisions(group, job, command)
        elif isinstance(command, RecordOutcomes):
            job.answer = [
                self._write_outcome(group, job.position + i, job.time_ms, position, outcome)
                for i, (position, outcome) in enumerate(command.outcomes)
            ]
            self._judge_health(
                group, group.told, iter(range(job.position + len(command.outcomes), _NO_END)), job.time_ms
            )
            group.told.clear()
        elif isinstance(command, RecordComparison):
            job.answer = [self._write_comparison(group, job.position, job.time_ms, command)]
        elif isinstance(command, ImportHistory):
            try:
                job.answer = self._write_history(group, job, command)
            except BanditdError as error:
                job.answer = error
        elif isinstance(command, ChangeSettings):
            try:
                records = command.decide(self._state)
            except BanditdError as error:
                job.answer = error
                return
            for i, record in enumerate(records):
                group.append(job.position + i, job.time_ms, record)
        elif isinstance(command, Tend):
            self._tend(group, job)
        else:
            self._take_snapshot(group)

    def _write_decisions(self, group: "Group", job: Job, command: LogDecisions) -> None:
        for i, decision in enumerate(command.decisions):
            group.append(job.position + i, job.time_ms, decision)
        if command.request_key:
            group.batch.put_request(command.request_key, job.position, len(command.decisions))

    def _write_outcome(
        self, group: "Group", position: int, time_ms: int, decision_position: int, outcome: Outcome
    ) -> OutcomeAnswer:
        found = group.batch.find_decision(decision_position)
        if found is None or not isinstance(found.record, Decision) or found.record.decision_id != outcome.decision_id:
            # The id is genuine, but its decision was acknowledged early and lost in a crash. The fact is kept.
            group.statuses[OutcomeStatus.ORPHANED] += 1
            group.append(position, time_ms, OutcomeRecord("", 0, outcome, _ORPHANED))
            return _ORPHANED
        decision = found.record
        router = self._state.routers.get(decision.router_id)
        if router is not None and decision_position <= router.start_position:
            router = None  # the decision was another's, of the same name
        model = self._state.catalog.by_slot.get(decision.slot)
        try:
            ruling, entry = rule(
                outcome,
                decision=decision,
                decision_time_ms=found.time_ms,
                entry=group.batch.ledger(decision_position) or first_entry(decision),
                position=position,
                now_ms=time_ms,
                window_ms=_CLOSED if router is None else router.router.attribution_window_ms,
                price=None if model is None else model.price,
            )
        except BanditdError as error:
            group.statuses[None] += 1
            return error
        group.statuses[ruling.status] += 1
        if ruling.status is not OutcomeStatus.DUPLICATE:
            slot = health_slot(outcome, ruling, decision, entry, time_ms - found.time_ms, self._settings.health)
            if slot in self._state.catalog.by_slot:
                ruling = msgspec.structs.replace(ruling, health_slot=slot)
                group.note(self._state, decision_position, time_ms, ruling, outcome.failure)
            group.append(position, time_ms, OutcomeRecord(decision.router_id, decision_position, outcome, ruling))
            group.batch.put_ledger(decision_position, entry)
        return ruling

    def _judge_health(self, group: "Group", slots: Iterable[int], positions: Iterator[int], time_ms: int) -> None:
        """Log the changes of health that are due."""
        for slot in sorted(slots):
            health = group.health.get(slot) or self._state.health_of(slot)
            change = judge(slot, health, self._settings.health, time_ms)
            if change is not None:
                position = next(positions)
                group.append(position, time_ms, change)
                group.health[slot] = turn(change, position, time_ms)

    def _write_comparison(
        self, group: "Group", position: int, time_ms: int, command: RecordComparison
    ) -> OutcomeAnswer:
        try:
            status = self._log_comparison(group, position, time_ms, command)
        except BanditdError as error:
            group.statuses[None] += 1
            return error
        group.statuses[status] += 1
        return Ruling(status)

    def _log_comparison(self, group: "Group", position: int, time_ms: int, command: RecordComparison) -> OutcomeStatus:
        comparison, context, at = command.comparison, command.context, command.decision_position
        router_id, found = command.router_id, None
        if context is None:
            found = group.batch.find_decision(at)
            if found is not None and getattr(found.record, "decision_id", b"") != comparison.decision_id:
                found = None
            if found is None:
                # As with outcomes: the decision was acknowledged early and lost, and the fact is kept.
                record = ComparisonRecord("", 0, None, comparison, OutcomeStatus.ORPHANED)
                group.append(position, time_ms, record)
                return OutcomeStatus.ORPHANED
            assert isinstance(found.record, Decision)
            router_id = found.record.router_id
            if command.router_id not in ("", router_id):
                raise InvalidArgumentError(
                    Reason.COMPARISON_SUBJECT, "comparison.router_id", "the router of the decision", "another one"
                )
        router = self._state.routers.get(router_id)
        if router is None and found is None:
            raise NotFoundError(Reason.ROUTER_NOT_FOUND, f"comparison.router_id: there is no router {router_id!r}")
        key = identity(router_id, comparison, context)
        known = group.batch.find_comparison(key)
        # One that was recorded before its router was made anew was about another of that name.
        if known is not None and (router is None or known.position > router.start_position):
            assert isinstance(known.record, ComparisonRecord)
            check_repetition(comparison, context, known.record)
            return OutcomeStatus.DUPLICATE
        status = OutcomeStatus.APPLIED
        if found is not None:
            assert isinstance(found.record, Decision)
            if router is not None and at <= router.start_position:
                router = None
            status = rule_comparison(
                comparison,
                found.record,
                decision_time_ms=found.time_ms,
                now_ms=time_ms,
                window_ms=_CLOSED if router is None else router.router.attribution_window_ms,
            )
        group.append(position, time_ms, ComparisonRecord(router_id, at, context, comparison, status))
        group.batch.put_comparison(key, position)
        return status

    def _write_history(self, group: "Group", job: Job, command: ImportHistory) -> int:
        """Log the rows of an import that are new; returns how many these are."""
        router = self._state.routers.get(command.router_id)
        if router is None:
            raise NotFoundError(Reason.ROUTER_NOT_FOUND, f"router_id: there is no router {command.router_id!r}")
        key = import_key(command.router_id, command.import_id)
        mark = group.batch.import_mark(key)
        # What was imported before the router was made anew is another's of that name.
        row_count = 0 if mark is None or mark[0] <= router.start_position else mark[1]
        records = new_records(command, row_count)
        for i, record in enumerate(records):
            group.append(job.position + i, job.time_ms, record)
        if records:
            last = job.position + len(records) - 1
            group.batch.put_import_mark(key, last, command.first_row + len(command.records))
        return len(records)

    def _tend(self, group: "Group", job: Job) -> None:
        self._tending_again = self._tending_refused = False
        # First, and of the state as it is: what this turn adds to the log comes after the snapshot.
        if self._state.position - self._snapshot_position >= self._settings.snapshot_entries or (
            self._state.position > self._snapshot_position
            and group.now_ms - self._snapshot_time_ms >= self._settings.snapshot_interval_ms
        ):
            self._take_snapshot(group)
        positions = iter(range(job.position, job.position + positions_of(job.command)))
        for router in self._state.routers.values():
            if router.fit_is_due:
                contexts = self._log.newest_contexts(
                    router.router.router_id, router.router.embedding_dimension, job.position, FIT_PROMPTS_MAX
                )
                group.append(next(positions), group.now_ms, due_fit(router, contexts))
        alarms = (alarm for name, router in self._state.routers.items() for alarm in router.changes.due(name))
        for alarm in itertools.islice(alarms, ALARMS_PER_TENDING):
            group.append(next(positions), group.now_ms, alarm)
        for router in self._state.routers.values():
            promotion = router.due_promotion(group.now_ms)
            if promotion is not None:
                for record in promotion_records(router, promotion, group.now_ms):
                    group.append(next(positions), group.now_ms, record)
        self._judge_health(group, self._state.health, positions, group.now_ms)
        self._expire_windows(group, positions)
        self._forget_requests(group)
        self._log.tidy()

    def _expire_windows(self, group: "Group", positions: Iterator[int]) -> None:
        """Resolve decisions whose window has closed, a turn's worth per window length."""
        sweeps = self._log.counters(_WINDOWS)
        by_window: dict[int, list[str]] = {}
        for router_id, state in self._state.routers.items():
            by_window.setdefault(state.router.attribution_window_ms, []).append(router_id)
        # A window length that is new starts where the least advanced one is: what it finds resolved it passes over.
        start = min(sweeps.values(), default=0)
        moved = {str(window_ms): sweeps.get(str(window_ms), start) for window_ms in by_window}
        for window_ms, router_ids in by_window.items():
            after, closed = self._closed_decisions(group, moved[str(window_ms)], window_ms)
            for router_id in router_ids:
                self._expire(group, positions, router_id, closed.get(router_id, []))
            moved[str(window_ms)] = after
        if moved != sweeps:
            group.batch.put_counters(_WINDOWS, moved)

    def _closed_decisions(self, group: "Group", after: int, window_ms: int) -> tuple[int, dict[str, list[int]]]:
        """Return how far was looked, and the unresolved decisions of closed windows by router."""
        closed: dict[str, list[int]] = {}
        headers = self._log.headers(after, _TENDED_ENTRIES, group.now_ms - window_ms - 1)
        for position, kind, _ in headers:
            after = position
            if kind != DECISION:
                continue
            entry = group.batch.ledger(position)
            if entry is not None and entry.resolution is not Resolution.WAITING:
                continue  # most are, and need not be read
            found = group.batch.find_decision(position)
            assert found is not None
            decision = found.record
            assert isinstance(decision, Decision)
            router = self._state.routers.get(decision.router_id)
            if router is None or position <= router.start_position:
                continue
            if (entry or first_entry(decision)).resolution is Resolution.WAITING:
                closed.setdefault(decision.router_id, []).append(position)
        self._tending_again = self._tending_again or len(headers) == _TENDED_ENTRIES
        return after, closed

    def _expire(self, group: "Group", positions: Iterator[int], router_id: str, closed: list[int]) -> None:
        quality = self._state.routers[router_id].router.default_quality
        for i in range(0, len(closed), _EXPIRIES_PER_RECORD):
            chunk = tuple(closed[i : i + _EXPIRIES_PER_RECORD])
            group.append(next(positions), group.now_ms, Expiry(router_id, chunk, quality))
            for position in chunk:
                entry = group.batch.ledger(position) or NEW_ENTRY
                group.batch.put_ledger(position, entry.resolved(Resolution.EXPIRED))

    def _forget_requests(self, group: "Group") -> None:
        """Forget the request ids of decisions that are older than they are remembered."""
        after = self._log.counters(_REQUESTS).get("after", 0)
        start = after
        headers = self._log.headers(after, _TENDED_ENTRIES, group.now_ms - REQUEST_MEMORY_MS - 1)
        self._tending_again = self._tending_again or len(headers) == _TENDED_ENTRIES
        for position, kind, _ in headers:
            after = position
            if kind == DECISION:
                found = group.batch.find_decision(position)
                assert found is not None
                decision = found.record
                assert isinstance(decision, Decision)
                if decision.request_id and decision.batch_row <= 0:
                    group.batch.delete_request(request_key(decision.router_id, decision.request_id), position)
        if after != start:
            group.batch.put_counters(_REQUESTS, {"after": after})

    def _take_snapshot(self, group: "Group") -> None:
        if self._state.position == 0 or not self._state.routers:
            return
        for router_id, state in self._state.routers.items():
            stored = StoredSnapshot(
                router_id, self._state.position, state.version, state.policy.preset, group.now_ms, state.to_bytes()
            )
            group.batch.put_snapshot(stored, group.now_ms)
        at = self._state.position
        group.batch.put_snapshot(
            StoredSnapshot(HEALTH, at, at, "", group.now_ms, self._state.health_bytes()), group.now_ms
        )
        group.batch.keep_snapshots(self._settings.snapshots_kept)
        group.snapshot_position = self._state.position


def _is_traffic(job: Job) -> bool:
    return isinstance(job.command, LogDecisions | RecordOutcomes | RecordComparison)


class Group:
    """What is committed together.

    Attributes:
        batch: Its writes.
        now_ms: When it began.
        entries: Its log entries, to be applied once they are durable.
        statuses: What became of its outcomes; None stands for a refusal.
        snapshot_position: Position of the snapshot that it holds; 0 for none.
        health: Of the models that its outcomes tell of, as it will be.
        told: Slots of the models of which the outcomes of the command at hand tell.
    """

    def __init__(self, batch: Batch, now_ms: int) -> None:
        self.batch = batch
        self.now_ms = now_ms
        self.entries: list[LogEntry] = []
        self.statuses: Counter[OutcomeStatus | None] = Counter()
        self.snapshot_position = 0
        self.health: dict[int, ModelHealth] = {}
        self.told: set[int] = set()

    def note(self, state: LearnerState, decision_position: int, time_ms: int, ruling: Ruling, failure: Failure) -> None:
        """Take note of what an outcome tells of a model's health."""
        slot = ruling.health_slot
        health = self.health.get(slot) or state.health_of(slot)
        self.health[slot] = note(health, decision_position, time_ms, failure)
        self.told.add(slot)

    def append(self, position: int, time_ms: int, record: Record) -> None:
        """Append a record to the log."""
        self.batch.append(position, time_ms, record)
        self.entries.append(LogEntry(position, time_ms, record))
