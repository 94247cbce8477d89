"""What off-policy evaluation refuses, and why.

ValueError
└── OpeError           base; `reason` is stable, upper snake case
    ├── LogError       the log or the target policy is malformed: `<field>[<row>]: expected <what>, got <what>`
    └── SupportError   well formed, but the log cannot answer the question
"""

from __future__ import annotations


class OpeError(ValueError):
    """Base of everything that off-policy evaluation raises on purpose."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class LogError(OpeError):
    """A malformed log, target policy or setting. The message names field, row, what was expected and what was found."""

    def __init__(self, field: str, expected: str, got: object, *, row: int | None = None, reason: str) -> None:
        place = field if row is None else f"{field}[{row}]"
        super().__init__(f"{place}: expected {expected}, got {got}", reason=reason)
        self.field = field
        self.row = row


class SupportError(OpeError):
    """The log holds too little about what the target policy would do: an estimate would be an extrapolation."""
