"""When to try a call again: after UNAVAILABLE only, with jitter, never beyond the call's deadline.

gRPC's own retries are switched off (see channel.py): they would need a service config, and they would send the second
try without this module knowing. Nothing here sleeps, reads a clock or draws a random number; the clients do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from banditd_client.errors import BanditdError, Unavailable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a call is repeated."""

    attempts_max: int = 20
    """Most tries of one call, >= 1; 1 switches retries off. At the default timeouts the deadline comes first."""
    backoff_initial_s: float = 0.025
    """Pause after the first try, > 0, in seconds."""
    backoff_max_s: float = 1.0
    """Longest pause, in seconds."""
    backoff_factor: float = 2.0
    """How much longer each pause is than the one before, >= 1."""

    def __post_init__(self) -> None:
        """Refuse what would not end, or would not pause."""
        if self.attempts_max < 1:
            raise ValueError(f"attempts_max: expected >= 1, got {self.attempts_max}")
        if not 0 < self.backoff_initial_s <= self.backoff_max_s:
            raise ValueError(f"backoff_initial_s: expected within (0, backoff_max_s], got {self.backoff_initial_s}")
        if not self.backoff_factor >= 1:
            raise ValueError(f"backoff_factor: expected >= 1, got {self.backoff_factor}")


def backoff(policy: RetryPolicy, uniform: Callable[[], float]) -> Iterator[float]:
    """Yield the pauses of one call in seconds, one fewer than tries.

    Each is drawn from the upper half of its step, [step / 2, step), by *uniform* in [0, 1): callers that failed
    together come back apart, and none comes back at once.
    """
    step = policy.backoff_initial_s
    for _ in range(policy.attempts_max - 1):
        yield step * (0.5 + 0.5 * uniform())
        step = min(step * policy.backoff_factor, policy.backoff_max_s)


class Attempts:
    """What one call may still do before *deadline_s*, on the clock that its methods are given the time of."""

    def __init__(self, policy: RetryPolicy, deadline_s: float, uniform: Callable[[], float]) -> None:
        self._pauses = backoff(policy, uniform)
        self._deadline_s = deadline_s
        self.failed_count = 0

    def remaining_s(self, now_s: float) -> float:
        """Return what is left of the deadline: the timeout of the next try."""
        return max(self._deadline_s - now_s, 0.0)

    def pause_after(self, error: BanditdError, now_s: float) -> float | None:
        """Return how long to wait before the next try, or None if *error* is final."""
        self.failed_count += 1
        if not isinstance(error, Unavailable):
            return None
        pause = next(self._pauses, None)
        if pause is None:
            return None
        if error.pushback_ms is not None:
            if error.pushback_ms < 0:
                return None
            pause = max(pause, error.pushback_ms / 1000)
        # A pause that leaves no time for a try would only make the caller wait for the same error.
        return pause if now_s + pause < self._deadline_s else None
