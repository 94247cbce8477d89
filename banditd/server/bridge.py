"""Between the event loop and the writer's thread: commands go one way, answers come back in groups."""

import asyncio
from collections.abc import Callable

from banditd.domain.clock import Clock
from banditd.domain.ids import issue_decision_id
from banditd.errors import BanditdError
from banditd.learner.books import Books
from banditd.learner.commands import (
    Answer,
    ChangeSettings,
    Command,
    ImportHistory,
    OutcomeAnswer,
    RecordComparison,
    RecordOutcomes,
)
from banditd.learner.writer import Job, Writer
from banditd.routing.snapshot import ServingSnapshot
from banditd.server.gathering import Gathering
from banditd.store.log import Log
from banditd.store.snapshots import Snapshots


class Bridge:
    """What the servicers hold: the writer, the log and the newest snapshot. The event loop's thread only.

    Args:
        writer: The writer.
        log: The log.
        snapshots: The stored snapshots.
        books: The books of outcomes.
        clock: Tells the time.
        secret: Key of decision ids.
        epoch: Start of the server.
    """

    def __init__(
        self, writer: Writer, log: Log, snapshots: Snapshots, books: Books, clock: Clock, secret: bytes, epoch: int
    ) -> None:
        self.writer = writer
        self.log = log
        self.snapshots = snapshots
        self.books = books
        self.clock = clock
        self.secret = secret
        self._epoch = epoch
        self._gathering = Gathering(writer)

    @property
    def snapshot(self) -> ServingSnapshot:
        """Everything that a decision reads, as it is now."""
        return self.writer.published.current

    def issue_ids(self, count: int) -> list[tuple[bytes, float]]:
        """Return ids and uniform numbers of the next decisions; they are submitted before anything else is."""
        start = self.writer.next_position
        return [issue_decision_id(self.secret, start + i, self._epoch) for i in range(count)]

    def queue(self, command: Command, time_ms: int, future: "asyncio.Future[Answer]") -> None:
        """Queue a command of traffic, with work that was given to `gather`. Raises as `Writer.submit`.

        Args:
            command: What is asked for.
            time_ms: When its facts became true.
            future: Gets the answer once it is durable.
        """
        self.writer.submit(command, time_ms, future, wake=False)

    def gather(self, work: Callable[[], None] | None = None) -> None:
        """Do *work*, together with that of others who call side by side, and have done what is queued."""
        self._gathering.join(work)

    def submit(self, command: Command) -> "asyncio.Future[Answer]":
        """Queue a command; the future gets its answer once it is durable. Raises as `Writer.submit`."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        is_traffic = isinstance(command, RecordOutcomes | RecordComparison)
        self.writer.submit(command, self.clock.now_ms(), future, wake=not is_traffic)
        if is_traffic:
            self._gathering.join()
        return future

    async def change(self, command: ChangeSettings) -> None:
        """Change settings; returns once the change is durable and decides. Raises what the change raises."""
        answer = await self.submit(command)
        if isinstance(answer, BanditdError):
            raise answer

    async def learn(self, command: ImportHistory) -> int:
        """Import rows; returns how many were new, once they are durable and learnt. Raises what refuses them."""
        answer = await self.submit(command)
        if isinstance(answer, BanditdError):
            raise answer
        assert isinstance(answer, int)
        return answer

    async def record(self, command: RecordOutcomes | RecordComparison) -> list[OutcomeAnswer]:
        """Record outcomes or a comparison; returns once they are durable. Raises where none of them could be stored."""
        try:
            future = self.submit(command)
        except BanditdError:
            # The writer counts what it takes; this it never saw.
            self.books.settle({None: len(command.outcomes) if isinstance(command, RecordOutcomes) else 1})
            raise
        answer = await future
        if isinstance(answer, BanditdError):
            raise answer
        assert isinstance(answer, list)
        return answer


def deliver(jobs: list[Job]) -> None:
    """Give a group's answers to those who wait; on the event loop's thread."""
    for job in jobs:
        if isinstance(job.waiter, asyncio.Future) and not job.waiter.done():
            job.waiter.set_result(job.answer)
