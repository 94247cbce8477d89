"""What the log holds of each model for a later evaluation: the probabilities with which it could have been drawn."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from banditd.domain.arrays import Array64, Slots
from banditd.kernels.decision import count_support

_ROWS: Final = 16


class Support:
    """Sum and least of the probabilities above 0 of each model. Mutable; the writer's thread only."""

    def __init__(self) -> None:
        # By slot.
        self._totals = _nothing(_ROWS)

    def count(self, slots: Slots, pmf: Array64) -> None:
        """Take note of a decision: its candidates and their probabilities, both of shape (K,)."""
        if not count_support(slots, pmf, self._totals):
            count_support(slots, pmf, self.totals_for(slots))

    def totals_for(self, slots: Slots) -> Array64:
        """Return what `count_support` updates, shape (L, 2), where there is room for these numbers."""
        if int(slots.max()) >= len(self._totals):
            self._totals = np.vstack([self._totals, _nothing(int(slots.max()) + _ROWS)])
        return self._totals

    def of(self, slot: int) -> tuple[float, float] | None:
        """Return sum and least of a model's probabilities; None if it could never have been drawn."""
        totals = self._totals
        if slot >= len(totals) or totals[slot, 0] == 0.0:
            return None
        return float(totals[slot, 0]), float(totals[slot, 1])

    def to_rows(self) -> list[list[float]]:
        """Return slot, sum and least of each model that could have been drawn."""
        return [[int(slot), *self._totals[slot].tolist()] for slot in np.flatnonzero(self._totals[:, 0])]

    def load_rows(self, rows: Sequence[Sequence[float]]) -> None:
        """Put what `to_rows` returned in the place of this."""
        self._totals = _nothing(max((int(slot) for slot, _, _ in rows), default=0) + _ROWS)
        for slot, total, least in rows:
            self._totals[int(slot)] = total, least


def _nothing(count: int) -> Array64:
    """Return rows of models that could never have been drawn."""
    return np.tile(np.array([0.0, 1.0]), (count, 1))
