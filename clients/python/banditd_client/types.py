"""What goes into and comes out of routing calls: plain values. Probabilities and qualities are in [0, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from banditd_client.enums import DecisionSource, ExclusionReason, Failure, OutcomeStatus, Resolution, Winner
from banditd_client.errors import BanditdError


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits on the choice. None means no limit; nobody within them is `NoEligibleModel`."""

    cost_usd_max: float | None = None
    latency_ms_max: float | None = None
    quality_min: float | None = None
    """Of the models that reach it the cheapest is chosen; the weights of the objective are then not read."""
    required_tags: Sequence[str] = ()
    latency_percentile: float | None = None
    """Percentile of the latency that `latency_ms_max` is for, 1..99.9. None means its expectation."""


@dataclass(frozen=True, slots=True)
class Objective:
    """utility = quality - usd_weight * cost in USD - second_weight * latency in seconds. None means the router's."""

    usd_weight: float | None = None
    second_weight: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could have been used, as the policy saw it. Expectations are None where nothing is known."""

    model: str
    probability: float
    expected_quality: float | None = None
    expected_cost_usd: float | None = None
    expected_latency_ms: float | None = None
    exclusion_reason: ExclusionReason | None = None
    """None means that it was eligible."""
    rival_probability: float | None = None
    """Of being drawn beside the chosen one. None where no pair was asked for."""

    @property
    def eligible(self) -> bool:
        """Whether it could be chosen."""
        return self.exclusion_reason is None


@dataclass(frozen=True, slots=True)
class Route:
    """The answer to "which model for this prompt?"."""

    decision_id: str
    """Names the decision in `record_outcome`. Empty for a client-side fallback, of which nothing was logged."""
    model: str
    """The model to call."""
    propensity: float | None
    """The exact probability with which it was drawn, in (0, 1]. None for a client-side fallback."""
    candidates: tuple[Candidate, ...]
    """In rank order: the chosen one, the other eligible ones, the excluded ones."""
    policy_version: int
    source: DecisionSource
    learnable: bool
    """Whether outcomes of it can teach the policy."""
    create_time: datetime | None = None
    """By the server's clock. None for a client-side fallback."""
    rival: str = ""
    """The model to compare it with, if a pair was asked for."""
    pair_propensity: float | None = None
    """The exact probability with which this pair was drawn. None without a rival."""

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The other eligible models, best first: whom to call if the chosen one fails."""
        return tuple(c.model for c in self.candidates if c.eligible and c.model != self.model)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen after a decision. None means not seen; pieces may be sent one after another, in any order."""

    decision_id: str
    outcome_id: str = ""
    """Makes retries safe. Empty means that the client makes one up when it sends the outcome."""
    quality: float | None = None
    cost_usd: float | None = None
    """None means: computed by the server from the tokens at the price in force."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None
    """From sending the prompt to the complete answer."""
    failure: Failure | None = None
    served_model: str = ""
    """The model that really served. Empty means the chosen one."""
    observed_at: datetime | None = None
    """With a time zone. None means now."""
    cached_input_tokens: int | None = None
    """Those of the input tokens that were billed as read from the prompt cache."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of two models did better on a prompt: that of a decision, or any other, given by its embedding."""

    model_a: str
    model_b: str
    winner: Winner
    judge: str = ""
    """Who says so; its reliability is estimated."""
    strength: float | None = None
    """How strong the preference is: 0 counts as a tie, 1 as a clear win. None means 1."""
    first: str = ""
    """The model whose answer was shown first. Empty means not known."""
    comparison_id: str = ""
    """Makes retries safe. Empty means that the client makes one up when it sends the comparison."""


@dataclass(frozen=True, slots=True)
class OutcomeResult:
    """Answer to one of several outcomes: exactly one of the two is set."""

    status: OutcomeStatus | None
    error: BanditdError | None = None
    """What `record_outcome` would have raised."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A logged choice with what was recorded of it."""

    decision_id: str
    router: str
    request_id: str
    create_time: datetime | None
    model: str
    propensity: float
    candidates: tuple[Candidate, ...]
    policy_version: int
    policy: str
    """Name of the policy's preset."""
    source: DecisionSource
    learnable: bool
    resolution: Resolution
    outcomes: tuple[Outcome, ...]
    """In order of arrival."""
    previous_model: str = ""
    """The one chosen last in the session. Empty without a session, or at its first decision."""
    rival: str = ""
    """The model to compare it with, if a pair was asked for."""
    pair_propensity: float | None = None
