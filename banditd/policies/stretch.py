"""A stretch: rounds that follow one another, of which every outcome is known as soon as the model is chosen."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from banditd.domain.arrays import Array32, Array64, Codes, Index
from banditd.domain.budget import Pacing

# Rounds of a stretch at most. More save nothing: what one costs beside its rounds is shared by this many already.
ROUNDS_MAX: Final = 128


class Pace(NamedTuple):
    """What a budget has rounds go by: its accounts, which they update, as `kernels.accounts` has them.

    Attributes:
        numbers: Shape (17,), or (0,) without a budget.
        contexts: Shape (2, M, K).
        answers: Shape (2, M).
        budget_usd: Per request.
        exploration_share: What exploration may add to what a request is meant to cost, as a share of it.
    """

    numbers: Array64
    contexts: Array64
    answers: Array64
    budget_usd: float
    exploration_share: float


NO_PACE: Final = Pace(np.zeros(0), np.zeros((2, 0, 0)), np.zeros((2, 0)), 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """B rounds among K models.

    Attributes:
        rows: Shape (B, N), float32: the encoded contexts.
        seen: Shape (B, K, 3), float64: what would come of each model, as `beliefs.measures` has it; NaN for nothing.
        costs: Shape (B, K), float64: what each would cost, USD.
        uniforms: Shape (B,), float64, in [0, 1): what draws.
        codes: Shape (B, K), uint8, values of `Exclusion`; reasons are added.
        pmf: Shape (B, K), float64; written as far as it is played, like all that follow.
        expected: Shape (B, 3, K), float32: quality, cost and latency as they are logged.
        index: Shape (B,), int64: the drawn models.
        pacing: Shape (B, 4), float64: as `Pacing` has it; not written without a budget.
    """

    rows: Array32
    seen: Array64
    costs: Array64
    uniforms: Array64
    codes: Codes
    pmf: Array64
    expected: Array32
    index: Index
    pacing: Array64

    @classmethod
    def of(cls, rows: Array32, seen: Array64, costs: Array64, uniforms: Array64, codes: Codes) -> "Stretch":
        """Return a stretch that is yet to be played."""
        count, models = codes.shape
        expected, index = np.empty((count, 3, models), np.float32), np.empty(count, np.int64)
        return cls(rows, seen, costs, uniforms, codes, np.empty(codes.shape), expected, index, np.empty((count, 4)))

    @property
    def pacings(self) -> list[Pacing]:
        """The prices by which each round was decided, within a budget."""
        found: list[Pacing] = []
        before = None
        for numbers in self.pacing.tolist():
            # They stay for some rounds.
            found.append(found[-1] if numbers == before else Pacing(*numbers))
            before = numbers
        return found

    def first(self, count: int) -> "Stretch":
        """Return the first rounds."""
        return Stretch(
            self.rows[:count],
            self.seen[:count],
            self.costs[:count],
            self.uniforms[:count],
            self.codes[:count],
            self.pmf[:count],
            self.expected[:count],
            self.index[:count],
            self.pacing[:count],
        )
