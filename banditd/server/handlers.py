"""What stands around every call: parsing, room, errors, counts. The one place that catches everything."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError, Message

from banditd.errors import BanditdError, InvalidArgumentError, Reason, ResourceExhaustedError, UnavailableError
from banditd.server.catalog_servicer import CatalogServicer
from banditd.server.router_admin_servicer import RouterAdminServicer
from banditd.server.routing_servicer import RoutingServicer
from banditd.server.status import code_of, trailing_metadata
from banditd.telemetry.metrics import MethodMetrics
from banditd_proto.v1 import catalog_service_pb2, router_admin_service_pb2, routing_service_pb2

_log = structlog.get_logger()
# A few bytes can unfold to sixty times as many in memory (an empty outcome is two bytes). What most methods need is far
# below the server's limit, which is made for batches of embeddings; the rest is refused unread.
_MESSAGE_BYTES_MAX: Final = 1 << 20
_EMBEDDING_METHODS: Final = frozenset({"Route", "RouteBatch", "ImportHistory"})
_Request = TypeVar("_Request", bound=Message)


class Gate:
    """How many calls are worked on, and whether more may come. The event loop's thread only.

    Args:
        in_flight_max: Calls that are worked on at once.
    """

    def __init__(self, in_flight_max: int) -> None:
        self.in_flight_max = in_flight_max
        self.in_flight = 0
        self.draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """Count a call in; raises where there is no room."""
        if self.draining:
            raise UnavailableError(Reason.DRAINING, "the server is stopping")
        if self.in_flight >= self.in_flight_max:
            raise UnavailableError(Reason.OVERLOADED, "too many calls are worked on; try again later")
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        """Count a call out."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()

    async def drain(self, grace_s: float) -> None:
        """Refuse new calls; return once the running ones are done, or when *grace_s* is over."""
        self.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace_s)


def generic_handlers(
    routing: RoutingServicer,
    catalog: CatalogServicer,
    admin: RouterAdminServicer,
    gate: Gate,
    metrics: dict[str, MethodMetrics],
    deadline_ms: int,
) -> "list[grpc.GenericRpcHandler[Any, Any]]":
    """Return the handlers of all services, by the methods that their descriptors name.

    Args:
        routing: Serves RoutingService.
        catalog: Serves CatalogService.
        admin: Serves RouterAdminService.
        gate: Counts the calls.
        metrics: By method; filled.
        deadline_ms: What a call gets that comes without a deadline.
    """
    services = (
        (routing_service_pb2, "RoutingService", routing),
        (catalog_service_pb2, "CatalogService", catalog),
        (router_admin_service_pb2, "RouterAdminService", admin),
    )
    handlers = []
    for module, name, servicer in services:
        service = module.DESCRIPTOR.services_by_name[name]
        methods = {}
        for method in service.methods:
            serve = getattr(servicer, _snake(method.name))
            counts = metrics.setdefault(method.name, MethodMetrics())
            request_type = getattr(module, method.input_type.name)
            # Requests come and answers leave as bytes: what cannot be parsed is ours to answer, not the library's.
            methods[method.name] = grpc.unary_unary_rpc_method_handler(
                _handler(method.name, request_type, serve, gate, counts, deadline_ms * 1e-3)
            )
        handlers.append(grpc.method_handlers_generic_handler(service.full_name, methods))
    return handlers


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


def _parse(raw: bytes, request_type: type[_Request], bytes_max: int) -> _Request:
    if len(raw) > bytes_max:
        raise ResourceExhaustedError(
            Reason.MESSAGE_TOO_LARGE, f"request: expected at most {bytes_max} bytes, got {len(raw)}"
        )
    try:
        return request_type.FromString(raw)
    except DecodeError:
        raise InvalidArgumentError(
            Reason.MALFORMED_MESSAGE, "request", f"a {request_type.__name__}", f"{len(raw)} other bytes"
        ) from None


def _handler(
    name: str,
    request_type: type[_Request],
    serve: Callable[[_Request], Awaitable[Message | bytes]],
    gate: Gate,
    metrics: MethodMetrics,
    deadline_s: float,
) -> Callable[[bytes, "grpc.aio.ServicerContext[Any, Any]"], Awaitable[bytes]]:
    bytes_max = sys.maxsize if name in _EMBEDDING_METHODS else _MESSAGE_BYTES_MAX

    async def handle(raw: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> bytes:
        start = time.perf_counter()
        entered = False
        code = "CANCELLED"
        try:
            gate.enter()
            entered = True
            # The library ends a call at its own deadline.
            async with asyncio.timeout(deadline_s if context.time_remaining() is None else None):
                answer = await serve(_parse(raw, request_type, bytes_max))
            response = answer if isinstance(answer, bytes) else answer.SerializeToString()
            code = "OK"
        except BanditdError as error:
            status = code_of(error)
            code = status.name
            await context.abort(status, error.message, trailing_metadata(error))
        except TimeoutError:
            code = "DEADLINE_EXCEEDED"
            message = f"expected an answer within {deadline_s:g} s, the time of a call without a deadline of its own"
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, message)
        except Exception:  # noqa: BLE001 - nothing of a bug's insides reaches a caller
            code = "INTERNAL"
            _log.exception("call.broke", method=name)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")
        finally:
            if entered:
                gate.leave()
            metrics.observe(code, time.perf_counter() - start)
        return response

    return handle
