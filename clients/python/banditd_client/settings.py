"""What both clients are configured with."""

import math
from dataclasses import dataclass

from banditd_client.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Settings:
    """How a client behaves; times in seconds."""

    fallback_model: str | None
    route_timeout: float
    timeout: float
    retry: RetryPolicy

    def __post_init__(self) -> None:
        """Refuse timeouts that never come or are already over, and a fallback that is no model."""
        checked_timeout(self.route_timeout, "route_timeout")
        checked_timeout(self.timeout, "timeout")
        if self.fallback_model == "":
            raise ValueError("fallback_model: expected a model's name or None, got an empty string")


def checked_timeout(timeout: float, what: str = "timeout") -> float:
    """Return *timeout*. ValueError unless it is a finite number of seconds above zero."""
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"{what}: expected seconds above 0, got {timeout}")
    return timeout
