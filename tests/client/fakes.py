"""A real gRPC server whose answers a test writes down beforehand, and both clients behind one face."""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from banditd_client import AsyncClient, Client
from banditd_proto.v1 import catalog_service_pb2, router_admin_service_pb2, routing_service_pb2

HANG = object()
"""A step that never answers."""


@dataclass(frozen=True)
class Refusal:
    """A step that fails the call, with the details that grpcio-status makes."""

    code: grpc.StatusCode
    message: str = ""
    reason: str = ""
    metadata: dict = field(default_factory=dict)
    fields: tuple = ()
    trailers: tuple = ()


UNAVAILABLE = Refusal(grpc.StatusCode.UNAVAILABLE, "draining", "DRAINING")


@dataclass(frozen=True)
class Received:
    """One try as the server saw it."""

    method: str
    request: object
    remaining_s: float


class FakeBanditd:
    """Plays the steps of `play`, call by call; where none is left, an empty response."""

    def __init__(self):
        self.received = []
        self.address = ""
        self._steps = defaultdict(deque)
        self._server = None

    def play(self, method, *steps):
        """Append steps: a response, a Refusal, HANG, or a function from request to response."""
        self._steps[method].extend(steps)

    def requests(self, method):
        """Return the requests of *method* in order of arrival."""
        return [received.request for received in self.received if received.method == method]

    async def start(self, port=0):
        self._server = grpc.aio.server()
        for module in (routing_service_pb2, catalog_service_pb2, router_admin_service_pb2):
            for service in module.DESCRIPTOR.services_by_name.values():
                handlers = {method.name: self._handler(method) for method in service.methods}
                self._server.add_generic_rpc_handlers(
                    (grpc.method_handlers_generic_handler(service.full_name, handlers),)
                )
        port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{port}"
        await self._server.start()
        return port

    async def stop(self):
        await self._server.stop(None)

    def _handler(self, method):
        response_class = GetMessageClass(method.output_type)

        async def answer(request, context):
            self.received.append(Received(method.name, request, context.time_remaining()))
            steps = self._steps[method.name]
            step = steps.popleft() if steps else response_class()
            if step is HANG:
                await asyncio.Event().wait()
            if isinstance(step, Refusal):
                await context.abort(step.code, step.message, trailing_metadata=trailers(step))
            return step(request) if callable(step) else step

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=response_class.SerializeToString,
        )


def rich(refusal):
    """Return the google.rpc.Status of *refusal*."""
    details = []
    if refusal.reason:
        info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain="banditd", metadata=refusal.metadata)
        details.append(packed(info))
    if refusal.fields:
        violations = [error_details_pb2.BadRequest.FieldViolation(field=path) for path in refusal.fields]
        details.append(packed(error_details_pb2.BadRequest(field_violations=violations)))
    return status_pb2.Status(code=code_pb2.Code.Value(refusal.code.name), message=refusal.message, details=details)


def packed(message):
    """Return *message* as a detail of a status."""
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail


def trailers(refusal):
    """Return the trailers of *refusal* as grpcio-status sends them; none if it comes from the way, not the server."""
    made = tuple(rpc_status.to_status(rich(refusal)).trailing_metadata) if refusal.reason or refusal.fields else ()
    return made + refusal.trailers


class SyncCaller:
    """`Client`, called from a thread so that the server's event loop goes on."""

    def __init__(self, target, **options):
        self.client = Client(target, **options)

    async def __call__(self, name, *args, **kwargs):
        return await asyncio.to_thread(getattr(self.client, name), *args, **kwargs)

    async def listed(self, name, *args, **kwargs):
        return await asyncio.to_thread(lambda: list(getattr(self.client, name)(*args, **kwargs)))

    async def measured(self, route, body):
        """Run body(call) under `measure`; return the call and what came out of the `with`."""
        calls = []

        def run():
            try:
                with self.client.measure(route) as call:
                    calls.append(call)
                    body(call)
            except BaseException as error:  # noqa: BLE001 (what comes out is what the tests look at)
                return calls[0], error
            return calls[0], None

        return await asyncio.to_thread(run)

    async def close(self):
        self.client.close()


class AsyncCaller:
    """`AsyncClient`."""

    def __init__(self, target, **options):
        self.client = AsyncClient(target, **options)

    async def __call__(self, name, *args, **kwargs):
        return await getattr(self.client, name)(*args, **kwargs)

    async def listed(self, name, *args, **kwargs):
        return [item async for item in getattr(self.client, name)(*args, **kwargs)]

    async def measured(self, route, body):
        """Run body(call) under `measure`; return the call and what came out of the `async with`."""
        calls = []
        try:
            async with self.client.measure(route) as call:
                calls.append(call)
                body(call)
        except BaseException as error:  # noqa: BLE001 (what comes out is what the tests look at)
            return calls[0], error
        return calls[0], None

    async def close(self):
        await self.client.close()
