"""A real writer on a real directory, with a clock that stands still and answers that are waited for."""

import threading
from pathlib import Path

from banditd.domain.ids import issue_decision_id
from banditd.domain.outcome import Outcome
from banditd.errors import BanditdError
from banditd.learner.books import Books
from banditd.learner.commands import ChangeSettings, Command, LogDecisions, RecordOutcomes, TakeSnapshot, Tend
from banditd.learner.recovery import recover, replay
from banditd.learner.state import LearnerState
from banditd.learner.writer import Job, Writer, WriterSettings
from banditd.store.env import Env
from banditd.store.log import Log, request_key
from banditd.store.snapshots import Snapshots

from .world import FakeClock, decision

SETTINGS = WriterSettings(
    queue_commands_max=10_000,
    group_commands_max=100,
    snapshot_entries=1_000_000,
    snapshot_interval_ms=1_000_000_000,
    snapshots_kept=3,
)
PATIENCE_S = 60.0


class Rig:
    """One life of a writer on *path*.

    Args:
        path: The data directory.
        clock: Tells the time; goes on from life to life.
        settings: The writer's.
        map_bytes: How large the data can grow.
    """

    def __init__(
        self, path: Path, clock: FakeClock, settings: WriterSettings = SETTINGS, map_bytes: int = 1 << 28
    ) -> None:
        self.clock = clock
        self.env = Env(path, map_bytes)
        self.log = Log(self.env)
        self.snapshots = Snapshots(self.env)
        self.books = Books(self.log.counters("books"))
        self.state = recover(self.log, self.snapshots)
        self.groups: list[list[Job]] = []
        self._answered = threading.Condition()
        self._answers: dict[object, object] = {}
        self.writer = Writer(self.state, self.log, self.books, clock, settings, self._on_group)
        self._epoch = self.env.next_epoch()
        self.writer.start()

    def _on_group(self, jobs: list[Job]) -> None:
        with self._answered:
            self.groups.append(jobs)
            for job in jobs:
                self._answers[job.waiter] = job.answer
            self._answered.notify_all()

    def submit(self, command: Command) -> object:
        """Queue a command; returns what its answer can be waited for by."""
        waiter = object()
        if isinstance(command, RecordOutcomes):
            self.books.receive(len(command.outcomes))
        try:
            self.writer.submit(command, self.clock.now_ms(), waiter)
        except BanditdError:
            if isinstance(command, RecordOutcomes):
                self.books.settle({None: len(command.outcomes)})
            raise
        return waiter

    def wait(self, waiter: object) -> object:
        """Return the answer of a command."""
        with self._answered:
            there = self._answered.wait_for(lambda: waiter in self._answers, PATIENCE_S)
            assert there, "the writer did not answer"
            return self._answers.pop(waiter)

    def do(self, command: Command) -> object:
        """Queue a command and return its answer."""
        return self.wait(self.submit(command))

    def change(self, *records) -> object:
        """Log changes of settings."""
        return self.do(ChangeSettings(lambda _: records))

    def decisions(self, count: int, *, request_id: str = "", **fields) -> LogDecisions:
        """Return a command that logs decisions at the next positions."""
        start = self.writer.next_position
        issued = [issue_decision_id(self.env.secret, start + i, self._epoch) for i in range(count)]
        rows = tuple(
            decision(decision_id=decision_id, uniform=uniform, request_id=request_id, batch_row=row, **fields)
            for row, (decision_id, uniform) in enumerate(issued)
        )
        router_id = fields.get("router_id", "r")
        return LogDecisions(rows, request_key(router_id, request_id) if request_id else b"")

    def decide(self, count: int = 1, **fields) -> list[tuple[int, bytes]]:
        """Log decisions; return position and id of each."""
        command = self.decisions(count, **fields)
        start = self.writer.next_position
        answer = self.do(command)
        assert answer is None, answer
        return [(start + i, made.decision_id) for i, made in enumerate(command.decisions)]

    def report(self, made: tuple[int, bytes], **fields):
        """Record an outcome; return the ruling or the refusal."""
        (answer,) = self.do(RecordOutcomes(((made[0], Outcome(made[1], **fields)),)))
        return answer

    def tend(self) -> None:
        """Do what is due, until nothing is due at once."""
        self.do(Tend())
        while self.writer.needs_tending:
            self.do(Tend())

    def take_snapshot(self) -> None:
        """Store a snapshot."""
        self.do(TakeSnapshot())

    def digests(self) -> dict[str, str]:
        """Return the digest of what each router has learnt."""
        return {router_id: router.digest() for router_id, router in self.state.routers.items()}

    def fold(self) -> LearnerState:
        """Return the log, folded from empty."""
        return replay(LearnerState(), self.log)

    def stop(self) -> None:
        """End in good order: with a snapshot."""
        self.writer.stop()
        self.env.close()

    def crash(self) -> None:
        """End as a killed process does: what was not committed is gone, and nothing more is written."""
        self.writer._stopping = True
        self.writer._wake.set()
        self.writer._thread.join()
        self.env.close()


def digests_of(state: LearnerState) -> dict[str, str]:
    """Return the digest of each router of a state."""
    return {router_id: router.digest() for router_id, router in state.routers.items()}
