"""What the simulator refuses, and why.

ValueError
└── SimError   base; `reason` is stable, upper snake case; messages read `<field>: expected <what>, got <what>`
"""

from __future__ import annotations


class SimError(ValueError):
    """A run that cannot be made as it was asked for.

    Args:
        field: Path of what is to blame, as in `scenarios[0].events[1].model`.
        expected: What would have been right.
        got: What was found.
        reason: Stable, upper snake case.
    """

    def __init__(self, field: str, expected: str, got: object, *, reason: str = "INVALID") -> None:
        super().__init__(f"{field}: expected {expected}, got {got}")
        self.field = field
        self.reason = reason
