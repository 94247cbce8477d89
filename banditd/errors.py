"""Everything that banditd raises on purpose.

    BanditdError
    ├── InvalidArgumentError       malformed: wrong length, non-finite number, over a documented limit
    ├── NotFoundError              no such decision, model, router or snapshot
    ├── AlreadyExistsError         the same id with other content
    ├── FailedPreconditionError    well-formed, but not in this state
    ├── ResourceExhaustedError     queue, store or a count is full: back off
    ├── UnavailableError           starting, draining or the store has failed: try again
    ├── DataLossError              a checksum or decode failed on disk
    └── StartupError               the process refuses to start

Each carries a `reason` that never changes its meaning. Only `banditd.server.status` knows gRPC's codes.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    """Machine-readable reasons, sent as `google.rpc.ErrorInfo.reason`. Stable for ever."""

    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    BAD_NAME = "BAD_NAME"
    BAD_PAGE_TOKEN = "BAD_PAGE_TOKEN"  # noqa: S105 - not a secret
    BAD_UPDATE_MASK = "BAD_UPDATE_MASK"
    EMPTY_EMBEDDING = "EMPTY_EMBEDDING"
    WRONG_DIMENSION = "WRONG_DIMENSION"
    NOT_FINITE = "NOT_FINITE"
    NORM_OUT_OF_RANGE = "NORM_OUT_OF_RANGE"
    EMBEDDING_VERSION = "EMBEDDING_VERSION"
    BAD_REQUEST_ID = "BAD_REQUEST_ID"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    UNKNOWN_MODEL = "UNKNOWN_MODEL"
    DUPLICATE_MODEL = "DUPLICATE_MODEL"
    TOO_MANY_CANDIDATES = "TOO_MANY_CANDIDATES"
    NO_ELIGIBLE_MODEL = "NO_ELIGIBLE_MODEL"
    NO_ELIGIBLE_PAIR = "NO_ELIGIBLE_PAIR"
    BAD_CONSTRAINT = "BAD_CONSTRAINT"
    BATCH_SIZE = "BATCH_SIZE"
    INVALID_DECISION_ID = "INVALID_DECISION_ID"
    DECISION_NOT_FOUND = "DECISION_NOT_FOUND"
    BAD_OUTCOME_ID = "BAD_OUTCOME_ID"
    CONFLICTING_OUTCOME = "CONFLICTING_OUTCOME"
    EMPTY_OUTCOME = "EMPTY_OUTCOME"
    BAD_COMPARISON_ID = "BAD_COMPARISON_ID"
    CONFLICTING_COMPARISON = "CONFLICTING_COMPARISON"
    COMPARISON_SUBJECT = "COMPARISON_SUBJECT"
    SELF_COMPARISON = "SELF_COMPARISON"
    UNKNOWN_WINNER = "UNKNOWN_WINNER"
    STRENGTH_OUT_OF_RANGE = "STRENGTH_OUT_OF_RANGE"
    QUALITY_OUT_OF_RANGE = "QUALITY_OUT_OF_RANGE"
    COST_OUT_OF_RANGE = "COST_OUT_OF_RANGE"
    TOKENS_OUT_OF_RANGE = "TOKENS_OUT_OF_RANGE"
    LATENCY_OUT_OF_RANGE = "LATENCY_OUT_OF_RANGE"
    BAD_TIMESTAMP = "BAD_TIMESTAMP"
    UNKNOWN_FAILURE = "UNKNOWN_FAILURE"
    TOO_MANY_OUTCOMES = "TOO_MANY_OUTCOMES"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    MODEL_EXISTS = "MODEL_EXISTS"
    TOO_MANY_MODELS = "TOO_MANY_MODELS"
    MODEL_IN_USE = "MODEL_IN_USE"
    ROUTER_NOT_FOUND = "ROUTER_NOT_FOUND"
    ROUTER_EXISTS = "ROUTER_EXISTS"
    TOO_MANY_ROUTERS = "TOO_MANY_ROUTERS"
    DEFAULT_ROUTER = "DEFAULT_ROUTER"
    DIMENSION_FIXED = "DIMENSION_FIXED"
    UNKNOWN_POLICY = "UNKNOWN_POLICY"
    BAD_POLICY_PARAMETER = "BAD_POLICY_PARAMETER"
    POLICY_NOT_FOUND = "POLICY_NOT_FOUND"
    POLICY_DECIDES = "POLICY_DECIDES"
    NO_FORMER_POLICY = "NO_FORMER_POLICY"
    DUPLICATE_POLICY = "DUPLICATE_POLICY"
    TOO_MANY_SHADOWS = "TOO_MANY_SHADOWS"
    BAD_PROPENSITIES = "BAD_PROPENSITIES"
    POLICY_UNAVAILABLE = "POLICY_UNAVAILABLE"
    FIXED_OBJECTIVE = "FIXED_OBJECTIVE"
    BAD_IMPORT_ID = "BAD_IMPORT_ID"
    IMPORT_GAP = "IMPORT_GAP"
    EMPTY_ROW = "EMPTY_ROW"
    WEIGHT_OUT_OF_RANGE = "WEIGHT_OUT_OF_RANGE"
    PROPENSITY_OUT_OF_RANGE = "PROPENSITY_OUT_OF_RANGE"
    CANNOT_WEIGH = "CANNOT_WEIGH"
    CANNOT_TAKE_PRIOR = "CANNOT_TAKE_PRIOR"
    SNAPSHOT_NOT_FOUND = "SNAPSHOT_NOT_FOUND"
    FEATURE_SPEC_MISMATCH = "FEATURE_SPEC_MISMATCH"
    OVERLOADED = "OVERLOADED"
    STORAGE_FULL = "STORAGE_FULL"
    STORAGE_ERROR = "STORAGE_ERROR"
    DRAINING = "DRAINING"
    CORRUPT_RECORD = "CORRUPT_RECORD"
    CONFIG = "CONFIG"
    WRITER_LOCKED = "WRITER_LOCKED"
    DATA_DIRECTORY = "DATA_DIRECTORY"
    DATA_FORMAT = "DATA_FORMAT"
    LISTEN = "LISTEN"


_NO_METADATA: Final[Mapping[str, str]] = MappingProxyType({})


class BanditdError(Exception):
    """An error with a stable reason.

    Args:
        reason: What went wrong, for machines.
        message: What went wrong, for people: `<field path>: expected <what>, got <what>` where a field is to blame.
        metadata: Further facts for machines; never a payload.
    """

    def __init__(self, reason: Reason, message: str, metadata: Mapping[str, str] = _NO_METADATA) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata


class InvalidArgumentError(BanditdError):
    """The request is malformed, whatever the state of the server.

    Args:
        reason: What went wrong, for machines.
        field: Path of the field that is to blame, for example `context.embedding`.
        expected: What would have been right.
        got: What came; a number or a name, never a payload.
    """

    def __init__(self, reason: Reason, field: str, expected: str, got: str) -> None:
        super().__init__(reason, f"{field}: expected {expected}, got {got}")
        self.field = field


class NotFoundError(BanditdError):
    """There is no such thing."""


class AlreadyExistsError(BanditdError):
    """The id was used with other content."""


class FailedPreconditionError(BanditdError):
    """The request is well-formed, but cannot be served in this state."""


class ResourceExhaustedError(BanditdError):
    """Something is full."""


class UnavailableError(BanditdError):
    """Not now: starting, draining, or the store has failed."""


class DataLossError(BanditdError):
    """Something on disk is not what was written."""


class StartupError(BanditdError):
    """The process refuses to start; the message is one plain sentence."""

    def __init__(self, reason: Reason, message: str, exit_code: int = 2) -> None:
        super().__init__(reason, message)
        self.exit_code = exit_code
