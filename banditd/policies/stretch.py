"""A stretch: rounds that follow one another, of which every outcome is known as soon as the model is chosen."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from banditd.domain.arrays import Array32, Array64, Codes, Index

# Rounds of a stretch at most. More save nothing: what one costs beside its rounds is shared by this many already.
ROUNDS_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class Stretch:
    """B rounds among K models.

    Attributes:
        rows: Shape (B, N), float32: the encoded contexts.
        seen: Shape (B, K, 3), float64: what would come of each model, as `beliefs.measures` has it; NaN for nothing.
        uniforms: Shape (B,), float64, in [0, 1): what draws.
        codes: Shape (B, K), uint8, values of `Exclusion`; reasons are added.
        pmf: Shape (B, K), float64; written as far as it is played, like all that follow.
        expected: Shape (B, 3, K), float32: quality, cost and latency as they are logged.
        index: Shape (B,), int64: the drawn models.
    """

    rows: Array32
    seen: Array64
    uniforms: Array64
    codes: Codes
    pmf: Array64
    expected: Array32
    index: Index

    @classmethod
    def of(cls, rows: Array32, seen: Array64, uniforms: Array64, codes: Codes) -> "Stretch":
        """Return a stretch that is yet to be played."""
        shape = codes.shape
        expected, index = np.empty((shape[0], 3, shape[1]), np.float32), np.empty(shape[0], np.int64)
        return cls(rows, seen, uniforms, codes, np.empty(shape), expected, index)

    def first(self, count: int) -> "Stretch":
        """Return the first rounds."""
        return Stretch(
            self.rows[:count],
            self.seen[:count],
            self.uniforms[:count],
            self.codes[:count],
            self.pmf[:count],
            self.expected[:count],
            self.index[:count],
        )
