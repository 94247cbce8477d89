"""Shadows: policies that see a router's log and do not decide, and the rule by which one of them takes over."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SHADOWS_MAX: Final = 8
# What the live policy is called where it has not been promoted under a name of its own.
LIVE: Final = "live"


@dataclass(frozen=True, slots=True)
class PromotionRule:
    """When a shadow takes over.

    Attributes:
        is_automatic: Whether the learner promotes by itself; otherwise only who asks does.
        margin: What the lower bound of the difference in utility has to exceed, >= 0.
        effective_samples_min: Least effective sample size of a shadow, >= 0.
        cost_ratio_max: Most that a shadow may cost, in costs of the live policy; 0 for no guard.
        latency_ratio_max: The same for latency.
        rollback_window_ms: How long after a promotion the former live policy is promoted back by itself, > 0.
    """

    is_automatic: bool = False
    margin: float = 0.0
    effective_samples_min: float = 500.0
    cost_ratio_max: float = 1.5
    latency_ratio_max: float = 1.5
    rollback_window_ms: int = 7 * 86_400_000


class PromotionCause(IntEnum):
    """Why a policy took over. Values are those of banditd.v1.PromotionCause."""

    ASKED = 1
    RULE = 2
    ROLLBACK = 3
    ROLLBACK_RULE = 4


class Verdict(IntEnum):
    """What the rule says of a shadow. Values are those of banditd.v1.Verdict."""

    PROMOTE = 1
    NOT_BETTER = 2
    FEW_SAMPLES = 3
    COST_GUARD = 4
    LATENCY_GUARD = 5
