"""A decision: what was chosen, from what, how probably, and why."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import msgspec

from banditd.domain.arrays import Array32, Array64, Codes, Slots
from banditd.domain.budget import FREE, Pacing
from banditd.domain.context import Context


class DecisionSource(IntEnum):
    """Who decided. Values are those of banditd.v1.DecisionSource."""

    POLICY = 1
    FALLBACK = 2
    UNHEALTHY = 3
    CALLER = 4

    @property
    def learnable(self) -> bool:
        """Whether outcomes may teach the policy: it was drawn, with a known probability."""
        return self is not DecisionSource.FALLBACK


class Exclusion(IntEnum):
    """Why a candidate could not be chosen. Values are those of banditd.v1.ExclusionReason."""

    ELIGIBLE = 0
    DISABLED = 1
    TAG_MISSING = 2
    CONTEXT_WINDOW = 3
    PRICE_UNKNOWN = 4
    COST_LIMIT = 5
    LATENCY_LIMIT = 6
    QUALITY_FLOOR = 7
    DEGRADED = 8
    DOWN = 9
    BACKING_OFF = 10
    BUDGET = 11


# The previous slot of a decision without a session, or of a session's first.
NO_SLOT: Final = -1


class Resolution(IntEnum):
    """How a decision ended. Values are those of banditd.v1.Resolution."""

    WAITING = 1
    OBSERVED = 2
    EXPIRED = 3
    CENSORED = 4


@dataclass(frozen=True, slots=True)
class Objective:
    """utility = quality - usd_weight * cost in USD - second_weight * latency in seconds.

    Attributes:
        usd_weight: What one dollar is worth in quality, >= 0.
        second_weight: What one second is worth in quality, >= 0.
    """

    usd_weight: float = 0.0
    second_weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of a request; None means no limit.

    Attributes:
        cost_usd_max: Of the expected cost.
        latency_ms_max: Of the latency: its expectation, or its percentile.
        quality_min: Of the expected quality. Where it is set, utility is the negative cost: see `minimises_cost`.
        required_tags: What the model must have.
        latency_percentile: Percentile of the latency that is limited, (0, 100); None means its expectation.
    """

    cost_usd_max: float | None = None
    latency_ms_max: float | None = None
    quality_min: float | None = None
    required_tags: tuple[str, ...] = ()
    latency_percentile: float | None = None

    @property
    def minimises_cost(self) -> bool:
        """Whether the cheapest model within the limits wins, whatever the weights of the objective are."""
        return self.quality_min is not None


NO_LIMITS = Limits()


class Rival(msgspec.Struct, frozen=True, gc=False):
    """The other model of a pair that is to be compared.

    Attributes:
        index: The drawn candidate, another one than the first.
        pmf: Shape (K,), float64: probabilities given the first; sums to 1.
    """

    index: int
    pmf: Array64


class Choice(msgspec.Struct, frozen=True, gc=False):
    """What the policy made of a context. K counts the candidates, in catalogue order.

    Attributes:
        index: The drawn candidate, 0..K-1.
        pmf: Shape (K,), float64, sums to 1; 0 exactly where excluded.
        exclusions: Shape (K,), uint8, values of `Exclusion`.
        expected: Shape (3, K), float32: quality, cost in USD, latency in ms; NaN where unknown.
        source: Who decided.
        pacing: The shadow prices of the budget, which come on top of what the objective says a dollar is worth.
        rival: Whom the chosen one is to be compared with; None where nobody asked.
    """

    index: int
    pmf: Array64
    exclusions: Codes
    expected: Array32
    source: DecisionSource
    pacing: Pacing = FREE
    rival: Rival | None = None

    @property
    def pair_propensity(self) -> float:
        """Probability with which the pair was drawn, in this order; that of the candidate where there is no rival."""
        return self.propensity if self.rival is None else self.propensity * float(self.rival.pmf[self.rival.index])

    @property
    def propensity(self) -> float:
        """Probability with which the candidate was drawn, (0, 1]."""
        return float(self.pmf[self.index])


class Decision(msgspec.Struct, frozen=True, gc=False):
    """A logged choice: everything that is needed to make it again.

    Attributes:
        decision_id: 16 bytes, see `banditd.domain.ids`.
        router_id: Name of the router.
        request_id: The caller's id, or empty.
        request_digest: 16 bytes over the request's content; empty without a request id.
        context: What was known.
        slots: Shape (K,), uint16: the candidates' numbers, in catalogue order.
        choice: What was drawn.
        uniform: The number in [0, 1) that drew it.
        objective: The trade-off as asked for; not read where the limits minimise cost.
        limits: The limits as used.
        policy: Name of the preset.
        policy_version: Log position up to which the deciding snapshot had learnt.
        learnable: Whether outcomes may teach the policy.
        batch_row: Row in a batch request, -1 for a single one.
        batch_row_count: Rows of the batch request, 0 for a single one.
        previous_slot: Number of the model that was chosen last in the session, or `NO_SLOT`.
    """

    decision_id: bytes
    router_id: str
    request_id: str
    request_digest: bytes
    context: Context
    slots: Slots
    choice: Choice
    uniform: float
    objective: Objective
    limits: Limits
    policy: str
    policy_version: int
    learnable: bool
    batch_row: int = -1
    batch_row_count: int = 0
    previous_slot: int = NO_SLOT

    @property
    def slot(self) -> int:
        """Number of the chosen model."""
        slot: int = self.slots.item(self.choice.index)
        return slot
