"""Several policies of one router: what goes into and comes out of the calls about them."""

from dataclasses import dataclass
from datetime import datetime

from banditd_client.admin_types import Policy
from banditd_client.enums import Verdict


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A policy that did not decide against the one that did, over decisions whose quality came. None: nothing yet."""

    decision_count: int
    waiting_count: int
    """Decisions whose quality is yet to come."""
    dropped_count: int
    """Decisions given up because too many waited."""
    effective_sample_count: float
    utility: float | None
    """Mean utility of the policy, doubly robust."""
    deciding_utility: float | None
    """Of the one that decided."""
    utility_difference: float | None
    utility_difference_low: float | None
    """Lower end of the difference's confidence sequence: valid however often one looks."""
    utility_difference_high: float | None
    snips_utility: float | None
    """Mean utility by self-normalised importance sampling."""
    deciding_snips_utility: float | None
    agreement_probability: float | None
    """Mean probability on which both agree."""
    unsupported_probability: float | None
    """Mean probability that the policy gives to models that could not have been drawn."""
    cost_usd: float | None
    deciding_cost_usd: float | None
    latency_ms: float | None
    deciding_latency_ms: float | None


@dataclass(frozen=True, slots=True)
class ListedPolicy:
    """A policy of a router."""

    name: str
    policy: Policy | None
    """With all its parameters."""
    deciding: bool
    """Whether it decides; the others are shadows."""
    former: bool
    """Whether `rollback_policy` brings it back."""
    evaluation: Evaluation | None
    """Of a shadow, against the policy that decides; of that, against callers who decided themselves."""
    verdict: Verdict | None
    """What the promotion rule says. None of the policy that decides."""
    promotion_time: datetime | None
    """When it took over. None for shadows, and where nothing was ever promoted."""
