"""Python client of banditd, which routes each prompt to the language model that is the best deal.

`Client` and `AsyncClient` take NumPy arrays or lists and give plain dataclasses. Needs grpcio and protobuf only.
"""

from banditd_client._version import __version__
from banditd_client.admin_types import (
    DecisionBooks,
    Estimate,
    JudgeStanding,
    Leaderboard,
    Model,
    ModelBelief,
    OutcomeBooks,
    Policy,
    PolicyStatus,
    Price,
    Router,
    Snapshot,
    Standing,
)
from banditd_client.aio import AsyncClient
from banditd_client.batch import RouteBatch
from banditd_client.client import Client
from banditd_client.enums import (
    UNCHANGED,
    DecisionSource,
    ExclusionReason,
    Failure,
    ModelState,
    OutcomeStatus,
    Resolution,
    Unchanged,
    Winner,
)
from banditd_client.errors import (
    AlreadyExists,
    BanditdError,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NoEligibleModel,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from banditd_client.measure import MeasuredCall
from banditd_client.retry import RetryPolicy
from banditd_client.types import Candidate, Comparison, Decision, Limits, Objective, Outcome, OutcomeResult, Route

__all__ = [
    "UNCHANGED",
    "AlreadyExists",
    "AsyncClient",
    "BanditdError",
    "Cancelled",
    "Candidate",
    "Client",
    "Comparison",
    "DataLoss",
    "DeadlineExceeded",
    "Decision",
    "DecisionBooks",
    "DecisionSource",
    "Estimate",
    "ExclusionReason",
    "FailedPrecondition",
    "Failure",
    "Internal",
    "InvalidArgument",
    "JudgeStanding",
    "Leaderboard",
    "Limits",
    "MeasuredCall",
    "Model",
    "ModelBelief",
    "ModelState",
    "NoEligibleModel",
    "NotFound",
    "Objective",
    "Outcome",
    "OutcomeBooks",
    "OutcomeResult",
    "OutcomeStatus",
    "PermissionDenied",
    "Policy",
    "PolicyStatus",
    "Price",
    "Resolution",
    "ResourceExhausted",
    "RetryPolicy",
    "Route",
    "RouteBatch",
    "Router",
    "Snapshot",
    "Standing",
    "Unauthenticated",
    "Unavailable",
    "Unchanged",
    "Unimplemented",
    "Winner",
    "__version__",
]
