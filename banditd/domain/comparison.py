"""A comparison: which of two models did better on a prompt."""

from dataclasses import dataclass
from enum import IntEnum


class Winner(IntEnum):
    """Who did better. Values are those of banditd.v1.Winner."""

    A = 1
    B = 2
    TIE = 3
    BOTH_BAD = 4


class ShownFirst(IntEnum):
    """Which answer the judge saw first. Values are those of banditd.v1.ShownFirst."""

    UNKNOWN = 0
    A = 1
    B = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison as it came.

    Attributes:
        slot_a: Number of model A.
        slot_b: Number of model B, another one.
        winner: Who did better.
        judge: Who says so, or empty.
        strength: How strong the preference is, in [0, 1]; None means fully.
        shown_first: Which answer the judge saw first.
        comparison_id: The caller's id, or empty.
        decision_id: 16 bytes of the decision whose prompt it is about; empty where it has a prompt of its own.
        weight: Comparisons that it counts for, > 0.
    """

    slot_a: int
    slot_b: int
    winner: Winner
    judge: str = ""
    strength: float | None = None
    shown_first: ShownFirst = ShownFirst.UNKNOWN
    comparison_id: str = ""
    decision_id: bytes = b""
    weight: float = 1.0

    @property
    def order(self) -> float:
        """1 where A was shown first, -1 where B was, 0 where nobody knows."""
        return _ORDERS[self.shown_first]

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of one vote, what goes to A, to B and to a tie: a weak preference is in part one for neither."""
        strength = 1.0 if self.strength is None else self.strength
        if self.winner is Winner.A:
            return strength, 0.0, 1.0 - strength
        if self.winner is Winner.B:
            return 0.0, strength, 1.0 - strength
        return 0.0, 0.0, 1.0


_ORDERS = {ShownFirst.UNKNOWN: 0.0, ShownFirst.A: 1.0, ShownFirst.B: -1.0}
