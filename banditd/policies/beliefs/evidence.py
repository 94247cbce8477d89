"""What was seen of qualities: sums per model, and a sample of the contexts."""

from typing import Final

import numpy as np

from banditd.domain.arrays import Array32, Array64
from banditd.policies.beliefs.measures import QUALITY
from banditd.policies.beliefs.shrinkage import Sample, Sums, context_keys

# Qualities that wait to be added: of many at a time the first brings code and numbers into the caches for the others.
# Whoever comes last waits for all.
_WAITING_MAX: Final = 64


class Evidence:
    """Sums and sample; what comes one by one is added before anybody looks. Mutable; the writer's thread only.

    Args:
        width: Values in a row, N.
    """

    __slots__ = ("_sample", "_sums", "_waiting", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._sums: dict[int, Sums] = {}
        self._sample = Sample(width)
        # Slot, row, value, weight and retention, in the order in which they came.
        self._waiting: list[tuple[int, Array32, float, float, float]] = []

    @property
    def sums(self) -> dict[int, Sums]:
        """What was seen of each model, by slot; may be changed."""
        self._settle()
        return self._sums

    @property
    def sample(self) -> Sample:
        """Contexts; may be changed."""
        self._settle()
        return self._sample

    def of(self, slot: int) -> Sums:
        """Return what was seen of a model, to be added to."""
        self._settle()
        return self._of(slot)

    def add(self, slot: int, row: Array32, value: float, weight: float, retention: float) -> None:
        """Take in a quality; *row* stays as it is."""
        self._waiting.append((slot, row, value, weight, retention))
        if len(self._waiting) == _WAITING_MAX:
            self._settle()

    def add_rows(self, slot: int, rows: Array32, measured: Array64, weights: Array64, retention: float) -> None:
        """Do `add` for each of B rows (B, N), with what was `measured` (B, 3), of which not all are qualities."""
        seen = np.isfinite(measured[:, QUALITY])
        if not seen.any():
            return
        keys = context_keys(rows)
        self.of(slot).add_rows(keys & 1, rows, measured, weights, retention)
        self._sample.offer(keys[seen], rows[seen])

    def load(self, sums: dict[int, Sums], keys: Array64, rows: Array32) -> None:
        """Put stored sums, and a stored sample's keys and rows, in the place of these."""
        self._waiting.clear()
        self._sums = sums
        self._sample.load(keys, rows)

    def _of(self, slot: int) -> Sums:
        if slot not in self._sums:
            self._sums[slot] = Sums.empty(self._width)
        return self._sums[slot]

    def _settle(self) -> None:
        """Add what waits."""
        if not self._waiting:
            return
        rows = np.stack([row for _, row, _, _, _ in self._waiting])
        keys = context_keys(rows)
        for (slot, row, value, weight, retention), key in zip(self._waiting, keys.tolist(), strict=True):
            self._of(slot).add(key & 1, row, value, weight, retention)
        self._sample.offer(keys, rows)
        self._waiting.clear()
