"""What goes into and comes out of administration calls: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from banditd_client.enums import BudgetWindow, ModelHealth, ModelState
from banditd_client.types import Objective


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's provider charges, in USD per million tokens and per call."""

    input_mtok_usd: float
    output_mtok_usd: float
    cached_input_mtok_usd: float | None = None
    """Of input tokens read from the prompt cache. None means what other input tokens cost."""
    request_usd: float = 0.0
    """Per call, whatever its tokens."""


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
    sibling_model: str = ""
    """A model that it is like: at creation, what was learnt of that one is its first guess. Empty means none."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One model on a leaderboard."""

    model: str
    rating: Estimate | None
    """From comparisons, on Elo's scale around 1000. None without one."""
    won_count: float
    lost_count: float
    tied_count: float
    both_bad_count: int
    score: Estimate | None
    """Mean score of the prompts that were sent to it. None without one."""
    score_count: int


@dataclass(frozen=True, slots=True)
class JudgeStanding:
    """One judge, and the probability that he says what he sees rather than its opposite."""

    judge: str
    vote_count: int
    honest_probability: float


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Models by how well they did, best first."""

    router: str
    category: str
    standings: tuple[Standing, ...]
    judges: tuple[JudgeStanding, ...]
    """Least honest first."""
    comparison_count: int
    position_bias: float
    """What being shown first is worth, in points."""
    categories: tuple[str, ...]
    confidence: float
    truncated: bool
    """Whether there is older evidence that was not looked at."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a router decides and learns: a preset's name and what differs from its defaults."""

    preset: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Budget:
    """Money that a router may spend."""

    amount_usd: float
    """Per window; without a window, the mean per request."""
    window: BudgetWindow = BudgetWindow.REQUEST
    hard: bool = False
    """Whether a model that is expected to cost more than what is left is excluded."""


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A router's budget as it stands."""

    shadow_usd_weight: float
    """What a dollar costs now, in quality, on top of the objective's `usd_weight`; 0 where the budget does not bind."""
    target_usd: float
    """What a request is meant to cost now."""
    spent_usd: float
    """In this window; without a window, since the budget was set."""
    request_count: int
    window_end_time: datetime | None
    """None without a window."""


@dataclass(frozen=True, slots=True)
class PromotionRule:
    """When a shadow takes over."""

    automatic: bool = False
    """Whether the server promotes by itself."""
    utility_margin: float = 0.0
    """What the lower bound of the difference in utility has to exceed."""
    effective_sample_count_min: float | None = None
    """None means the server's value, here and below."""
    cost_share_max: float | None = None
    """Most that it may cost, in costs of the policy that decides; 0 means no guard."""
    latency_share_max: float | None = None
    rollback_window_ms: int | None = None
    """How long after a promotion the former policy is promoted back by itself."""


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
    switch_usd: float = 0.0
    """What another model than a session's last one costs more, where it has no cached price."""
    budget: Budget | None = None
    """What it may spend. None means as much as the objective says."""
    exploration_share: float | None = None
    """What exploration may add to the expected spend where money matters, as a share of it. None means the server's."""
    shadows: Mapping[str, Policy] = field(default_factory=dict)
    """By name, policies that learn and are compared, and do not decide."""
    promotion: PromotionRule | None = None
    """When one of them takes over. None means: when `promote_policy` says so."""
    policy_name: str = ""
    """What the policy that decides is called. Never sent."""


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
    unpriced: bool = False
    """Without a price it is not chosen where money matters, until a cost of it has been reported."""
    observed_count: int = 0
    """Decisions whose quality arrived within the attribution window."""
    missing_count: int = 0
    """Decisions whose window closed without a quality."""
    observation_probability: float | None = None
    """Share of its qualities that arrives, over all contexts."""
    probability_sum: float = 0.0
    """Of the probabilities with which it could have been drawn: what the log holds of it for a later evaluation."""
    probability_min: float | None = None
    """The least of them. None if it was never eligible."""
    health: ModelHealth = ModelHealth.UNKNOWN
    health_until_time: datetime | None = None
    """When its back-off ends. None in a state without one."""
    newcomer: bool = False
    """Whether it is new here, so that its share of traffic is bounded."""
    quality_alarm_count: int = 0
    """Alarms that its quality is no longer what it was."""
    cost_alarm_count: int = 0
    """Of its cost, relative to its price."""
    latency_alarm_count: int = 0
    last_alarm_time: datetime | None = None
    context_observation_probability: float | None = None
    """How likely its quality is to arrive for the prompt that was asked about. None without one."""


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
    budget: BudgetStatus | None = None
    """None without a budget."""
    portfolio: Mapping[str, float] = field(default_factory=dict)
    """What each policy of a portfolio counts where money is worth nothing, by its preset; empty for other policies."""
    priced_portfolio: Mapping[str, float] = field(default_factory=dict)
    """The same where money is worth something, by the trade-off or by a budget's shadow price."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stored copy of a router's learnt state."""

    router: str
    policy_version: int
    create_time: datetime | None
    size_bytes: int
    policy: str
    """Name of the policy's preset."""
