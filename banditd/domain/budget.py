"""A router's budget."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

_MS: Final = 1000


class BudgetWindow(IntEnum):
    """What a budget is counted over. Values are those of banditd.v1.BudgetWindow."""

    REQUEST = 0
    HOUR = 1
    DAY = 2
    MONTH = 3


@dataclass(frozen=True, slots=True)
class Budget:
    """Money that a router may spend.

    Attributes:
        usd: Per window, > 0; for `BudgetWindow.REQUEST` the mean per request.
        window: What it is counted over; calendar windows are those of UTC.
        is_hard: Whether no request may be sent to a model whose expected cost is more than what is left.
    """

    usd: float
    window: BudgetWindow = BudgetWindow.REQUEST
    is_hard: bool = False


def window_of(window: BudgetWindow, time_ms: int) -> tuple[int, int]:
    """Return start and end of the calendar window that a time is in, in ms since 1970; the end is exclusive."""
    at = datetime.fromtimestamp(time_ms // _MS, UTC).replace(minute=0, second=0, microsecond=0)
    if window is BudgetWindow.HOUR:
        start = int(at.timestamp()) * _MS
        return start, start + 3_600_000
    at = at.replace(hour=0)
    if window is BudgetWindow.DAY:
        start = int(at.timestamp()) * _MS
        return start, start + 86_400_000
    at = at.replace(day=1)
    following = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return int(at.timestamp()) * _MS, int(following.timestamp()) * _MS


@dataclass(frozen=True, slots=True)
class Pacing:
    """Shadow prices between which a decision mixes: what a dollar costs, in quality, where a budget binds.

    Attributes:
        low: The lower one, in quality per USD, >= 0.
        high: The higher one.
        share_high: Probability of deciding at the higher one, [0, 1].
        allowance_usd: What exploration may add to the expected cost of a decision; infinite without a budget.
    """

    low: float = 0.0
    high: float = 0.0
    share_high: float = 0.0
    allowance_usd: float = math.inf

    @property
    def mean(self) -> float:
        """The expected shadow price."""
        return self.low + (self.high - self.low) * self.share_high

    @property
    def prices(self) -> tuple[tuple[float, float], ...]:
        """Pairs of a price and the probability of deciding at it, without those of probability 0."""
        both = ((self.low, 1.0 - self.share_high), (self.high, self.share_high))
        return tuple((price, share) for price, share in both if share > 0.0)

    @property
    def unpriced(self) -> "Pacing":
        """The same allowance at no price: for a request that says itself what a dollar is worth."""
        return FREE if self is FREE else Pacing(allowance_usd=self.allowance_usd)


FREE: Final = Pacing()
