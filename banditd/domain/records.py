"""What the log holds: facts, in the order in which they became true."""

from dataclasses import dataclass

import msgspec

from banditd.domain.comparison import Comparison
from banditd.domain.context import Context
from banditd.domain.decision import Decision
from banditd.domain.health import Health
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, Metric, Outcome, OutcomeStatus, Ruling
from banditd.domain.promotion import Promotion
from banditd.domain.router import RouterSpec


class OutcomeRecord(msgspec.Struct, frozen=True, gc=False):
    """An outcome with what the ledger made of it.

    Attributes:
        router_id: Router of the decision; empty for an orphan.
        decision_position: Log position of the decision; 0 for an orphan.
        outcome: What was seen.
        ruling: What became of it.
    """

    router_id: str
    decision_position: int
    outcome: Outcome
    ruling: Ruling


@dataclass(frozen=True, slots=True)
class Expiry:
    """Decisions of one router whose window closed without a quality.

    Attributes:
        router_id: The router.
        decision_positions: Log positions of the decisions.
        quality: What is learnt for each; None means nothing.
    """

    router_id: str
    decision_positions: tuple[int, ...]
    quality: float | None


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """A comparison with what became of it.

    Attributes:
        router_id: Router that learns it; empty for an orphan.
        decision_position: Log position of its decision; 0 where it is about a prompt of its own, or an orphan.
        context: Its prompt; None where that is the decision's.
        comparison: What was said.
        status: What became of it: applied, late or orphaned.
    """

    router_id: str
    decision_position: int
    context: Context | None
    comparison: Comparison
    status: OutcomeStatus


@dataclass(frozen=True, slots=True)
class PastChoice:
    """How somebody else chose a model: what evaluation needs to know of it.

    Attributes:
        propensity: Probability with which the model was drawn, in (0, 1].
        slots: Models that could have been drawn; empty where that is not known.
        pmf: Probability of each of them.
    """

    propensity: float
    slots: tuple[int, ...] = ()
    pmf: tuple[float, ...] = ()


class Example(msgspec.Struct, frozen=True, gc=False):
    """A prompt with what models did on it: learnt without a decision of the router.

    Attributes:
        router_id: The router.
        context: What was known.
        lessons: Slot and lesson of each model.
        import_id: The import that it came with, or empty.
        choice: How its one model was chosen; None where nobody is known to have chosen.
    """

    router_id: str
    context: Context
    lessons: tuple[tuple[int, Lesson], ...]
    import_id: str = ""
    choice: PastChoice | None = None


@dataclass(frozen=True, slots=True)
class LeaderboardPrior:
    """What a leaderboard says of models, before anything is seen of them.

    Attributes:
        router_id: The router.
        import_id: The import that it came with.
        standings: Slot, expected quality at the average prompt, and the observations that this counts for.
    """

    router_id: str
    import_id: str
    standings: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A model after a change; `model` is None where it was removed."""

    model_id: str
    slot: int
    model: ModelSpec | None


@dataclass(frozen=True, slots=True)
class RouterChange:
    """A router after a change; `router` is None where it was removed."""

    router_id: str
    router: RouterSpec | None


@dataclass(frozen=True, slots=True)
class FeatureFit:
    """A fitted encoding; the router's belief is rebuilt under it at this position.

    Attributes:
        router_id: The router.
        spec: Bytes of the encoding, see `banditd.features.spec`.
        prompt_count: Prompts that it was fitted on.
    """

    router_id: str
    spec: bytes
    prompt_count: int


@dataclass(frozen=True, slots=True)
class Restore:
    """A router's state taken back to a snapshot, whose bytes stand here so that the log alone tells everything."""

    router_id: str
    policy_version: int
    state: bytes


@dataclass(frozen=True, slots=True)
class HealthChange:
    """The health of a model from now on, over all routers.

    Attributes:
        slot: The model's number.
        state: Its health.
        until_ms: When its back-off ends; 0 in a state without one.
        trips: Back-offs in a row so far.
    """

    slot: int
    state: Health
    until_ms: int = 0
    trips: int = 0


@dataclass(frozen=True, slots=True)
class ChangeAlarm:
    """A metric of a model is no longer what it was; its regression is opened to new evidence at this position.

    Attributes:
        router_id: The router whose detector it is.
        slot: The model's number.
        metric: Which one.
        rising: Whether it rose; otherwise it fell.
        statistic: What the detector had summed up, in standard deviations.
    """

    router_id: str
    slot: int
    metric: Metric
    rising: bool
    statistic: float


Record = (
    Decision
    | OutcomeRecord
    | ComparisonRecord
    | Expiry
    | Example
    | LeaderboardPrior
    | ModelChange
    | RouterChange
    | FeatureFit
    | Restore
    | HealthChange
    | ChangeAlarm
    | Promotion
)


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """A record at its place.

    Attributes:
        position: 1, 2, 3, …; gaps are possible, order is not.
        time_ms: When it became true, by the server's clock.
        record: The fact.
    """

    position: int
    time_ms: int
    record: Record
