"""What goes into and comes out of administration calls: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from banditd_client.enums import ModelState
from banditd_client.types import Objective


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's provider charges, in USD per million tokens."""

    input_mtok_usd: float
    output_mtok_usd: float


@dataclass(frozen=True, slots=True)
class Model:
    """What can be chosen."""

    model_id: str
    price: Price | None = None
    """None means unknown: the model then has no cost, rather than a cost of zero."""
    context_window_tokens: int | None = None
    """Largest prompt. None means no limit known."""
    tags: tuple[str, ...] = ()
    state: ModelState = ModelState.ENABLED
    quality_guess: float | None = None
    """Guess of its mean quality before anything is known. None means the router's."""
    latency_ms_guess: float | None = None
    create_time: datetime | None = None
    update_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How a router decides and learns: a preset's name and what differs from its defaults."""

    preset: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Router:
    """A routing domain: its embedding space, models, policy and objective."""

    router_id: str
    embedding_dimension: int | None = None
    """None means: fixed by the first prompt."""
    embedding_model: str = ""
    model_ids: tuple[str, ...] = ()
    """The models it offers. Empty means all of the catalogue."""
    policy: Policy | None = None
    objective: Objective | None = None
    fallback_model: str = ""
    """Served by the server if the policy breaks. Empty means the first eligible model of the catalogue."""
    attribution_window_ms: int | None = None
    """How long after a decision its outcomes are learnt. None means the server's setting."""
    default_quality: float | None = None
    """Learnt when the window closes without a quality. None means that nothing is."""
    quality_guess: float | None = None
    create_time: datetime | None = None
    update_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ModelBelief:
    """What is known about one model of a router; expectations are those at the average prompt."""

    model: str
    decision_count: int
    quality_count: int
    cost_count: int
    latency_count: int
    failure_count: int
    quality: float
    cost_usd: float | None
    latency_ms: float
    quality_deviation: float
    """Standard deviation of the expected quality."""


@dataclass(frozen=True, slots=True)
class OutcomeBooks:
    """The books of a router's outcomes: received is the sum of all the others, at any moment."""

    received_count: int
    applied_count: int
    duplicate_count: int
    late_count: int
    rejected_count: int
    waiting_count: int
    overridden_count: int
    not_learned_count: int
    orphaned_count: int


@dataclass(frozen=True, slots=True)
class DecisionBooks:
    """How the decisions of a router ended."""

    decision_count: int
    observed_count: int
    expired_count: int
    censored_count: int
    waiting_count: int


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """What a router's policy is and what it has learnt."""

    router: str
    policy: Policy | None
    """With all its parameters."""
    policy_version: int
    state_digest: str
    """Equal digests mean bit-identical learnt state."""
    feature_fingerprint: str
    embedding_dimension: int | None
    """None if no prompt was seen yet."""
    feature_fit_position: int
    """Log position at which the encoding was fitted; 0 is the seeded start."""
    models: tuple[ModelBelief, ...]
    outcomes: OutcomeBooks
    decisions: DecisionBooks


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stored copy of a router's learnt state."""

    router: str
    policy_version: int
    create_time: datetime | None
    size_bytes: int
    policy: str
    """Name of the policy's preset."""
