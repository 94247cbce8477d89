"""The ledger's memory of one decision."""

from dataclasses import dataclass, replace
from typing import Final

from banditd.domain.decision import Resolution
from banditd.domain.outcome import Metric


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What is remembered of a decision's outcomes.

    Attributes:
        resolution: How the decision ended so far.
        learnt: Metrics that were learnt.
        id_digests: 8 bytes per outcome: of its id.
        content_digests: 8 bytes per outcome: of its content.
        positions: Log position of each outcome.
    """

    resolution: Resolution = Resolution.WAITING
    learnt: Metric = Metric.NONE
    id_digests: tuple[bytes, ...] = ()
    content_digests: tuple[bytes, ...] = ()
    positions: tuple[int, ...] = ()

    def resolved(self, resolution: Resolution) -> "LedgerEntry":
        """Return the entry with *resolution*."""
        return replace(self, resolution=resolution)


NEW_ENTRY: Final = LedgerEntry()
