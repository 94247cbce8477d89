"""Shadows: policies that see a router's log and do not decide, and the rule by which one of them takes over."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SHADOWS_MAX: Final = 8
# What the policy that a router was made with is called; another one that takes over keeps the name that it has.
FIRST_POLICY: Final = "first"


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

    @property
    def goes_back(self) -> bool:
        """Whether it takes back a promotion."""
        return self in (PromotionCause.ROLLBACK, PromotionCause.ROLLBACK_RULE)


class Verdict(IntEnum):
    """What the rule says of a shadow. Values are those of banditd.v1.Verdict."""

    PROMOTE = 1
    NOT_BETTER = 2
    FEW_SAMPLES = 3
    COST_GUARD = 4
    LATENCY_GUARD = 5


@dataclass(frozen=True, slots=True)
class Promotion:
    """A shadow takes over, and the policy that decided becomes a shadow in its place.

    Attributes:
        router_id: The router.
        name: The policy that takes over.
        former: The policy that decided until now.
        cause: Why.
        reason: What whoever asked says of it; empty where the rule decided.
        decisions: Decisions that both were compared on.
        difference: How much better the new one was found to be, doubly robust; NaN where nothing was compared.
        low: Lower bound of that.
        high: Upper bound.
        effective_samples: Effective sample size.
    """

    router_id: str
    name: str
    former: str
    cause: PromotionCause
    reason: str
    decisions: int
    difference: float
    low: float
    high: float
    effective_samples: float
