"""The books of outcomes and comparisons: what came in, and what became of each."""

import threading
from collections.abc import Mapping

from banditd.domain.outcome import OutcomeStatus

_SETTLED = ("applied", "duplicate", "late", "rejected", "overridden", "not_learned", "orphaned")
_OF_STATUS = {
    OutcomeStatus.APPLIED: "applied",
    OutcomeStatus.DUPLICATE: "duplicate",
    OutcomeStatus.LATE: "late",
    OutcomeStatus.OVERRIDDEN: "overridden",
    OutcomeStatus.NOT_LEARNED: "not_learned",
    OutcomeStatus.ORPHANED: "orphaned",
}


def name_of(status: OutcomeStatus | None) -> str:
    """Return the name under which an answer is counted; None stands for a refusal."""
    return "rejected" if status is None else _OF_STATUS[status]


class Books:
    """Counts outcomes and comparisons. Safe from any thread.

    `received` and `waiting` are counted on arrival and on settlement, each on its own, so that
    received = waiting + the sum of the others is a check and not a definition.

    Args:
        counts: As they were last written; what was waiting then was never answered.
    """

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._lock = threading.Lock()
        self._counts = {name: counts.get(name, 0) for name in _SETTLED}
        self._received = sum(self._counts.values())
        self._waiting = 0

    def receive(self, count: int) -> None:
        """Count arrivals."""
        with self._lock:
            self._received += count
            self._waiting += count

    def settle(self, statuses: Mapping[OutcomeStatus | None, int]) -> None:
        """Count answers; None stands for a refusal."""
        with self._lock:
            for status, count in statuses.items():
                self._counts[name_of(status)] += count
                self._waiting -= count

    def settled(self) -> dict[str, int]:
        """Return the counts of what was answered: what is written to disk."""
        with self._lock:
            return dict(self._counts)

    def all(self) -> dict[str, int]:
        """Return all counts."""
        with self._lock:
            return {"received": self._received, "waiting": self._waiting, **self._counts}
