"""MetricError: a metric was asked of numbers that have no such metric."""

from __future__ import annotations


class MetricError(ValueError):
    """`<argument>: expected <what>, got <what>`; raised instead of returning a silent nan."""

    def __init__(self, argument: str, expected: str, got: object) -> None:
        super().__init__(f"{argument}: expected {expected}, got {got}")
        self.argument = argument
