"""Whether a model's calls come to anything, over all routers."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from banditd.domain.outcome import Failure


class Health(IntEnum):
    """How a model's recent calls went. Values are those of banditd.v1.ModelHealth."""

    HEALTHY = 1
    DEGRADED = 2
    DOWN = 3
    PROBING = 4
    BACKING_OFF = 5

    @property
    def closed(self) -> bool:
        """Whether the model is left out while anyone else can serve."""
        return self in {Health.DEGRADED, Health.DOWN, Health.BACKING_OFF}


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """What is remembered of a model's calls.

    Attributes:
        state: Its health.
        since_position: Log position of the change to it; calls decided before tell nothing of it.
        since_ms: When that was.
        until_ms: When its back-off ends; 0 in a state without one.
        trips: Back-offs in a row so far.
        results: Time in ms and result of the newest calls decided since, oldest first, at most `RESULTS_MAX`.
    """

    state: Health = Health.HEALTHY
    since_position: int = 0
    since_ms: int = 0
    until_ms: int = 0
    trips: int = 0
    results: tuple[tuple[int, Failure], ...] = ()


GOOD_HEALTH: Final = ModelHealth()
