"""What the writer is asked to do, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from banditd.catalog.models import MODELS_MAX
from banditd.domain.comparison import Comparison
from banditd.domain.context import Context
from banditd.domain.decision import Decision
from banditd.domain.outcome import Outcome, Ruling
from banditd.domain.records import Record
from banditd.errors import BanditdError
from banditd.features.spec import FeatureKind
from banditd.learner.state import LearnerState


class LogDecisions(msgspec.Struct, frozen=True, gc=False):
    """Log decisions that have been made.

    Attributes:
        decisions: They stand at `position`, `position` + 1, ….
        request_key: Remembers the request; empty without a request id.
    """

    decisions: tuple[Decision, ...]
    request_key: bytes = b""


@dataclass(frozen=True, slots=True)
class RecordOutcomes:
    """Judge, log and learn outcomes.

    Attributes:
        outcomes: Each with the position of its decision, as its verified id has it.
    """

    outcomes: tuple[tuple[int, Outcome], ...]


@dataclass(frozen=True, slots=True)
class RecordComparison:
    """Judge, log and learn a comparison.

    Attributes:
        router_id: Router that learns it; empty means that of the decision.
        decision_position: Position of its decision, as the verified id has it; 0 where it has a prompt of its own.
        context: Its prompt; None where that is the decision's.
        comparison: What was said.
    """

    router_id: str
    decision_position: int
    context: Context | None
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class ImportHistory:
    """Log and learn a run of rows of an import, those that were learnt before left out.

    Attributes:
        router_id: Router that learns them.
        import_id: Names the import.
        first_row: Number of the first row within it.
        records: One per row: an Example, a ComparisonRecord or a LeaderboardPrior.
    """

    router_id: str
    import_id: str
    first_row: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """Change the catalogue or the routers.

    Attributes:
        decide: Gets the state as it is then and returns the records that make the change, at most
            `POSITIONS_PER_CHANGE`; none means that there is nothing to change. Raises BanditdError to refuse.
    """

    decide: Callable[[LearnerState], tuple[Record, ...]]


@dataclass(frozen=True, slots=True)
class Tend:
    """Do what is due: expire windows, forget requests, fit encodings, store snapshots."""


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Store a snapshot now."""


Command = LogDecisions | RecordOutcomes | RecordComparison | ImportHistory | ChangeSettings | Tend | TakeSnapshot

# A change of a router is one record, and a new encoding of each kind may follow it; a promotion is two.
POSITIONS_PER_CHANGE = 1 + len(FeatureKind)
# Fits, promotions, expiries, alarms and changes of health of one turn: at most one fit and one promotion per router, a
# few records per router and window length, one change per model; alarms that do not fit wait for the next turn.
POSITIONS_PER_TENDING = 1024
ALARMS_PER_TENDING = 128

OutcomeAnswer = Ruling | BanditdError
# Of an import, how many of its rows are new.
Answer = list[OutcomeAnswer] | int | None | BanditdError


def records_of(command: Command) -> int:
    """Return how many decisions and outcomes there are in a command; of others, its positions."""
    return len(command.outcomes) if isinstance(command, RecordOutcomes) else positions_of(command)


def positions_of(command: Command) -> int:
    """Return how many log positions a command may need."""
    if isinstance(command, LogDecisions):
        return len(command.decisions)
    if isinstance(command, RecordOutcomes):
        # Behind the outcomes, the changes of health that they cause: at most one per model.
        return len(command.outcomes) + min(len(command.outcomes), MODELS_MAX)
    if isinstance(command, RecordComparison):
        return 1
    if isinstance(command, ImportHistory):
        return len(command.records)
    if isinstance(command, ChangeSettings):
        return POSITIONS_PER_CHANGE
    return POSITIONS_PER_TENDING if isinstance(command, Tend) else 0
