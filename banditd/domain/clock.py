"""The clock of the shell. The core gets times as arguments."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970, never less than what was returned before."""
        ...


class SystemClock:
    """The machine's clock, held back where it would run backwards.

    Steps forward cannot be told from time that passed; a step back only stops the clock until it has caught up.
    Safe for use from several threads: at worst two callers see the same millisecond.
    """

    def __init__(self, floor_ms: int = 0) -> None:
        self._last_ms = floor_ms

    def now_ms(self) -> int:
        """Return milliseconds since 1970, never less than what was returned before."""
        now = time.time_ns() // 1_000_000
        self._last_ms = max(self._last_ms, now)
        return self._last_ms
