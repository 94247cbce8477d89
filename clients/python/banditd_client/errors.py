"""What a call can raise.

    BanditdError                 any status that has no class of its own (`code` tells which)
    ├── InvalidArgument          malformed: wrong length, non-finite number, over a documented limit
    ├── NotFound                 no such decision, model, router or snapshot
    ├── AlreadyExists            same id with other content
    ├── FailedPrecondition       well formed, but not in the state the service is in
    │   └── NoEligibleModel      every candidate is excluded; `reasons` says why
    ├── PermissionDenied
    ├── Unauthenticated
    ├── ResourceExhausted        overload or a limit: back off; never retried by this client
    ├── Unavailable              starting, draining or not reachable; retried until the deadline
    ├── DeadlineExceeded
    ├── Cancelled
    ├── Unimplemented            the server is older than this client
    ├── DataLoss                 the server found damage on its disk
    └── Internal                 a bug in the server

Two errors of one class are told apart by `reason`, which is stable for ever; messages are for people.
Values that cannot even be put into a request (a string for an embedding) are TypeError and ValueError, as usual.
"""

# ruff: noqa: N818 (the classes are called like the status codes that everybody knows)

import re
from collections.abc import Iterable, Mapping
from typing import Protocol, cast

import grpc

from banditd_client import rich_status
from banditd_client.enums import ExclusionReason

# The server's messages of malformed requests read "<field path>: expected <what>, got <what>".
_FIELD_PATH = re.compile(r"([a-z_][a-z0-9_]*(?:\[\d+\])?(?:\.[a-z_][a-z0-9_]*(?:\[\d+\])?)*): ")
_NO_ELIGIBLE_MODEL = "NO_ELIGIBLE_MODEL"
_PUSHBACK_TRAILER = "grpc-retry-pushback-ms"


class BanditdError(Exception):
    """A call failed."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "UNKNOWN",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field: str = "",
        pushback_ms: int | None = None,
    ) -> None:
        """Make an error; callers of the client only read them.

        Args:
            message: What went wrong, for people.
            code: Name of the gRPC status code.
            reason: Stable machine-readable reason, for example `WRONG_DIMENSION`. Empty if the error did not come
                from banditd itself but from the way to it.
            metadata: Values that belong to the reason.
            field: Path of the request's field that is to blame. Empty if none is.
            pushback_ms: How long the server asks to wait before a retry; negative forbids one. None: it said nothing.
        """
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.field = field
        self.pushback_ms = pushback_ms

    def __str__(self) -> str:
        return f"{self.reason or self.code}: {self.message}"


class InvalidArgument(BanditdError):
    """The request is malformed; the same request will fail again."""


class NotFound(BanditdError):
    """There is no such decision, model, router or snapshot."""


class AlreadyExists(BanditdError):
    """The id was used with other content."""


class FailedPrecondition(BanditdError):
    """The request is well formed but does not fit the state the service is in."""


class NoEligibleModel(FailedPrecondition):
    """Every candidate is excluded."""

    @property
    def reasons(self) -> dict[str, ExclusionReason]:
        """Why each model could not be chosen, by model. Empty if the server did not say."""
        found = {}
        for model, text in self.metadata.items():
            name = text.removeprefix("EXCLUSION_REASON_")
            if name in ExclusionReason.__members__:
                found[model] = ExclusionReason[name]
        return found


class PermissionDenied(BanditdError):
    """The caller may not do that."""


class Unauthenticated(BanditdError):
    """The server does not know the caller."""


class ResourceExhausted(BanditdError):
    """The server is overloaded, or a documented limit is reached."""


class Unavailable(BanditdError):
    """The server is starting, draining or cannot be reached."""


class DeadlineExceeded(BanditdError):
    """No answer in time. Whether the call took effect is not known; repeating it with the same id is safe."""


class Cancelled(BanditdError):
    """The call was cancelled, for example because the client was closed."""


class Unimplemented(BanditdError):
    """The server does not know the method."""


class DataLoss(BanditdError):
    """The server found damage on its disk."""


class Internal(BanditdError):
    """A bug in the server."""


_CLASS_BY_CODE: Mapping[str, type[BanditdError]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "FAILED_PRECONDITION": FailedPrecondition,
    "PERMISSION_DENIED": PermissionDenied,
    "UNAUTHENTICATED": Unauthenticated,
    "RESOURCE_EXHAUSTED": ResourceExhausted,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "CANCELLED": Cancelled,
    "UNIMPLEMENTED": Unimplemented,
    "DATA_LOSS": DataLoss,
    "INTERNAL": Internal,
}
_CODE_BY_NUMBER: Mapping[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


class _FailedCall(Protocol):
    """What the errors of grpc and of grpc.aio have in common; grpc declares neither on RpcError."""

    def code(self) -> grpc.StatusCode | None: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def from_rpc_error(rpc_error: grpc.RpcError) -> BanditdError:
    """Return the typed error of a failed call."""
    failed = cast(_FailedCall, rpc_error)
    code = failed.code() or grpc.StatusCode.UNKNOWN
    status = rich_status.RichStatus()
    pushback_ms = None
    for key, value in failed.trailing_metadata() or ():
        if key == rich_status.TRAILER and isinstance(value, bytes):
            status = rich_status.parse(value)
        elif key == _PUSHBACK_TRAILER:
            pushback_ms = _pushback_ms(value)
    return _build(code.name, failed.details() or "", status, pushback_ms)


def renumbered(error: BanditdError, name: str, first: int) -> BanditdError:
    """Return *error* with the index of a repeated field, `name[i]`, counted from *first* on."""
    path = re.compile(rf"^{re.escape(name)}\[(\d+)\]")

    def moved(text: str) -> str:
        return path.sub(lambda found: f"{name}[{int(found.group(1)) + first}]", text)

    return type(error)(
        moved(error.message),
        code=error.code,
        reason=error.reason,
        metadata=error.metadata,
        field=moved(error.field),
        pushback_ms=error.pushback_ms,
    )


def from_code(number: int, message: str, reason: str) -> BanditdError:
    """Return the typed error of a status that came inside an answer rather than as one."""
    return _build(_CODE_BY_NUMBER.get(number, "UNKNOWN"), message, rich_status.RichStatus(reason=reason), None)


def _build(code: str, message: str, status: rich_status.RichStatus, pushback_ms: int | None) -> BanditdError:
    error_class = _CLASS_BY_CODE.get(code, BanditdError)
    if error_class is FailedPrecondition and status.reason == _NO_ELIGIBLE_MODEL:
        error_class = NoEligibleModel
    return error_class(
        message,
        code=code,
        reason=status.reason,
        metadata=status.metadata,
        field=_field(message, status),
        pushback_ms=pushback_ms,
    )


def _field(message: str, status: rich_status.RichStatus) -> str:
    """Return the path of the field to blame: from the details, or from the start of the server's message."""
    if status.fields:
        return status.fields[0]
    # Without a reason the message is not the service's own ("tcp: connection reset" would name a field `tcp`).
    found = _FIELD_PATH.match(message) if status.reason else None
    return found.group(1) if found else ""


def _pushback_ms(value: str | bytes) -> int:
    """Read the trailer; gRPC (proposal A6) takes what is not a number as "do not retry"."""
    try:
        return int(value)
    except ValueError:
        return -1
