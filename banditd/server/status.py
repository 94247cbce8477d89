"""Exceptions to gRPC statuses: the one table, and the rich status of google.rpc."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from banditd.errors import (
    AlreadyExistsError,
    BanditdError,
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    Reason,
    ResourceExhaustedError,
    UnavailableError,
)

DOMAIN: Final = "banditd"
# A client takes 8 KiB of metadata, in which this travels as base64 and the message stands twice: an error that names
# 256 models of 128 characters must not break the answer.
_METADATA_BYTES_MAX: Final = 3072
_ENTRY_OVERHEAD_BYTES: Final = 6
# Who finds no room comes back after so long (gRPC proposal A6), in which a queue that is full is done several times.
_PUSHBACK: Final = ("grpc-retry-pushback-ms", "200")

STATUS_OF: Final[Mapping[type[BanditdError], grpc.StatusCode]] = MappingProxyType(
    {
        InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
        NotFoundError: grpc.StatusCode.NOT_FOUND,
        AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
        FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
        ResourceExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
        UnavailableError: grpc.StatusCode.UNAVAILABLE,
        DataLossError: grpc.StatusCode.DATA_LOSS,
    }
)


def code_of(error: BanditdError) -> grpc.StatusCode:
    """Return the status code of an error."""
    return STATUS_OF.get(type(error), grpc.StatusCode.INTERNAL)


def trailing_metadata(error: BanditdError) -> "tuple[tuple[str, str | bytes], ...]":
    """Return the rich status: ErrorInfo with the stable reason, BadRequest where a field is to blame."""
    told, size = {}, 0
    for key, value in error.metadata.items():
        size += len(key.encode()) + len(value.encode()) + _ENTRY_OVERHEAD_BYTES
        if size > _METADATA_BYTES_MAX:
            break
        told[key] = value
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=told)]
    packed = [_pack(detail) for detail in details]
    if isinstance(error, InvalidArgumentError):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        packed.append(_pack(error_details_pb2.BadRequest(field_violations=[violation])))
    status = status_pb2.Status(code=code_of(error).value[0], message=error.message, details=packed)
    metadata = rpc_status.to_status(status).trailing_metadata
    return (*metadata, _PUSHBACK) if error.reason is Reason.OVERLOADED else metadata


def _pack(message: "error_details_pb2.ErrorInfo | error_details_pb2.BadRequest") -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
