"""An outcome: facts that were seen after a decision."""

from enum import IntEnum, IntFlag
from typing import Final

import msgspec

from banditd.domain.decision import Resolution


class Failure(IntEnum):
    """How a call failed. Values are those of banditd.v1.Failure."""

    NONE = 0
    TIMEOUT = 1
    RATE_LIMIT = 2
    REFUSAL = 3
    MALFORMED_OUTPUT = 4
    UNAVAILABLE = 5


class OutcomeStatus(IntEnum):
    """What became of an outcome. Values are those of banditd.v1.OutcomeStatus."""

    APPLIED = 1
    DUPLICATE = 2
    LATE = 3
    OVERRIDDEN = 4
    NOT_LEARNED = 5
    ORPHANED = 6


class Metric(IntFlag):
    """What can be learnt from an outcome."""

    NONE = 0
    QUALITY = 1
    COST = 2
    LATENCY = 4


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """An outcome as it came. None means not seen.

    Attributes:
        decision_id: 16 bytes.
        outcome_id: The caller's id, or empty.
        quality: In [0, 1].
        cost_usd: >= 0.
        input_tokens: >= 0.
        output_tokens: >= 0.
        latency_ms: >= 0.
        failure: How the call failed.
        served_slot: Number of the model that served, or -1 for the chosen one.
        observe_time_ms: When it was observed, or 0 for on arrival.
        cached_input_tokens: Those of the input tokens that came from the prompt cache, >= 0.
    """

    decision_id: bytes
    outcome_id: str = ""
    quality: float | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None
    failure: Failure = Failure.NONE
    served_slot: int = -1
    observe_time_ms: int = 0
    cached_input_tokens: int | None = None


class Lesson(msgspec.Struct, frozen=True, gc=False):
    """What is learnt from an outcome; None means nothing of that kind.

    Attributes:
        quality: In [0, 1].
        cost_usd: The reported cost, or tokens times the price then in force.
        price_mtok_usd: The blended price then in force, > 0; None means that there was none.
        latency_ms: >= 0.
        fee_usd: The fee per call then in force, which is part of the cost.
        weight: Observations that it counts for, > 0.
    """

    quality: float | None = None
    cost_usd: float | None = None
    price_mtok_usd: float | None = None
    latency_ms: float | None = None
    fee_usd: float = 0.0
    weight: float = 1.0

    @property
    def token_cost_usd(self) -> float:
        """The cost without the fee: what is learnt. A reported cost below the fee has nothing left for tokens."""
        assert self.cost_usd is not None
        return max(self.cost_usd - self.fee_usd, 0.0)

    @property
    def metrics(self) -> Metric:
        """The metrics that are learnt."""
        return _METRICS[
            (self.quality is not None) + 2 * (self.cost_usd is not None) + 4 * (self.latency_ms is not None)
        ]


# By whether quality, cost and latency are there: joining flags takes longer than learning them.
_METRICS: Final[tuple[Metric, ...]] = tuple(
    (Metric.QUALITY if bits & 1 else Metric.NONE)
    | (Metric.COST if bits & 2 else Metric.NONE)
    | (Metric.LATENCY if bits & 4 else Metric.NONE)
    for bits in range(8)
)

NO_LESSON = Lesson()


class Ruling(msgspec.Struct, frozen=True, gc=False):
    """What the ledger made of an outcome. Logged with it, so that a replay need not judge again.

    Attributes:
        status: What became of it.
        lesson: What is learnt from it.
        resolution: How it resolved its decision; None if it did not.
        health_slot: Number of the model whose health it tells of; -1 for none.
    """

    status: OutcomeStatus
    lesson: Lesson = NO_LESSON
    resolution: Resolution | None = None
    health_slot: int = -1
