"""A real server in the test's own event loop, and what tests ask of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import grpc
import grpc.aio
import numpy as np
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2_grpc

from banditd.config.schema import Config, LearnerConfig, RouterConfig, ServerConfig, StoreConfig
from banditd.server import app as app_module
from banditd.server.bridge import Bridge
from banditd_proto.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    context_pb2,
    model_pb2,
    outcome_pb2,
    policy_pb2,
    router_admin_service_pb2,
    router_admin_service_pb2_grpc,
    router_pb2,
    routing_service_pb2,
    routing_service_pb2_grpc,
)

DIMENSION = 8
SERVICES = {
    "RoutingService": routing_service_pb2,
    "CatalogService": catalog_service_pb2,
    "RouterAdminService": router_admin_service_pb2,
}
# Full path of every method by its name, and the type of its request.
METHODS = {
    method.name: f"/{module.DESCRIPTOR.services_by_name[name].full_name}/{method.name}"
    for name, module in SERVICES.items()
    for method in module.DESCRIPTOR.services_by_name[name].methods
}
REQUEST_TYPES = {
    method.name: getattr(module, method.input_type.name)
    for name, module in SERVICES.items()
    for method in module.DESCRIPTOR.services_by_name[name].methods
}
RESPONSE_TYPES = {
    method.name: getattr(module, method.output_type.name)
    for name, module in SERVICES.items()
    for method in module.DESCRIPTOR.services_by_name[name].methods
}


class FakeClock:
    """A clock that only moves when it is told to; stands in the place of the system's."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the time."""
        return self._now_ms

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self._now_ms += ms


@dataclass
class Refusal:
    """A status that was not OK, taken apart."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    pushback_ms: str = ""


def take_apart(error: grpc.aio.AioRpcError) -> Refusal:
    """Return what a failed call says."""
    refusal = Refusal(error.code(), error.details() or "")
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-retry-pushback-ms":
            refusal.pushback_ms = str(value)
        if key != "grpc-status-details-bin":
            continue
        status = status_pb2.Status.FromString(value)
        assert status.code == error.code().value[0]
        assert status.message == refusal.message
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                refusal.reason, refusal.domain, refusal.metadata = info.reason, info.domain, dict(info.metadata)
            elif detail.Unpack(bad):
                refusal.fields = [violation.field for violation in bad.field_violations]
    return refusal


async def refused(call: Awaitable[object]) -> Refusal:
    """Return how a call fails."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return take_apart(error)
    raise AssertionError(f"expected a refusal, got {str(answer)[:200]!r}")


def embedding(seed: int = 0, dimension: int = DIMENSION) -> np.ndarray:
    """Return a unit vector, the same for the same seed."""
    x = np.random.default_rng(seed).standard_normal(dimension)
    return (x / np.linalg.norm(x)).astype("<f4")


def context(seed: int = 0, dimension: int = DIMENSION, **changes: object) -> context_pb2.Context:
    """Return a good context."""
    return context_pb2.Context(**({"embedding_float32": embedding(seed, dimension).tobytes()} | changes))


def route_request(seed: int = 0, **changes: object) -> routing_service_pb2.RouteRequest:
    """Return a good request."""
    return routing_service_pb2.RouteRequest(**({"context": context(seed)} | changes))


def batch_request(rows: int = 3, **changes: object) -> routing_service_pb2.RouteBatchRequest:
    """Return a good batch."""
    embeddings = b"".join(embedding(row).tobytes() for row in range(rows))
    return routing_service_pb2.RouteBatchRequest(**({"embeddings_float32": embeddings, "row_count": rows} | changes))


def balanced(books: policy_pb2.OutcomeBooks) -> bool:
    """Return whether received = waiting + everything that became of outcomes."""
    parts = {f.name: getattr(books, f.name) for f in books.DESCRIPTOR.fields}
    received = parts.pop("received_count")
    return received == sum(parts.values())


class Server:
    """A running server and stubs of it."""

    def __init__(self, app: app_module.App, bridge: Bridge, task: "asyncio.Task[int]") -> None:
        self.app = app
        self.bridge = bridge
        self.task = task
        self.address = f"127.0.0.1:{app.port}"
        self.channel = grpc.aio.insecure_channel(
            self.address, options=[("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        )
        self.routing = routing_service_pb2_grpc.RoutingServiceStub(self.channel)
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(self.channel)
        self.admin = router_admin_service_pb2_grpc.RouterAdminServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        self._raw = {name: self.channel.unary_unary(path) for name, path in METHODS.items()}

    async def raw(self, method: str, request: bytes) -> bytes:
        """Call a method with any bytes."""
        return await self._raw[method](request, timeout=30.0)

    async def call(self, method: str, request: object) -> object:
        """Call a method by its name."""
        return RESPONSE_TYPES[method].FromString(await self.raw(method, request.SerializeToString()))

    async def route(self, seed: int = 0, **changes: object) -> routing_service_pb2.RouteResponse:
        """Route a good request."""
        return await self.routing.Route(route_request(seed, **changes))

    async def record(self, decision_id: str, **facts: object) -> int:
        """Record an outcome; returns its status."""
        outcome = outcome_pb2.Outcome(decision_id=decision_id, **facts)
        return (await self.routing.RecordOutcome(routing_service_pb2.RecordOutcomeRequest(outcome=outcome))).status

    async def decision(self, decision_id: str) -> object:
        """Return a decision."""
        request = routing_service_pb2.GetDecisionRequest(decision_id=decision_id)
        return (await self.routing.GetDecision(request)).decision

    async def add_model(self, model_id: str, price: tuple[float, float] | None = (1.0, 2.0), **rest: object) -> object:
        """Create a model."""
        if price is not None:
            rest["price"] = model_pb2.Price(input_mtok_usd=price[0], output_mtok_usd=price[1])
        model = model_pb2.Model(model_id=model_id, **rest)
        return (await self.catalog.CreateModel(catalog_service_pb2.CreateModelRequest(model=model))).model

    async def change_model(self, model_id: str, **fields: object) -> object:
        """Change fields of a model; None clears one."""
        request = catalog_service_pb2.UpdateModelRequest(
            model=model_pb2.Model(model_id=model_id, **{k: v for k, v in fields.items() if v is not None})
        )
        request.update_mask.paths.extend(fields)
        return (await self.catalog.UpdateModel(request)).model

    async def delete_model(self, model_id: str) -> None:
        """Delete a model."""
        await self.catalog.DeleteModel(catalog_service_pb2.DeleteModelRequest(model_id=model_id))

    async def add_router(self, router_id: str, **rest: object) -> object:
        """Create a router."""
        router = router_pb2.Router(router_id=router_id, **rest)
        return (await self.admin.CreateRouter(router_admin_service_pb2.CreateRouterRequest(router=router))).router

    async def change_router(self, router_id: str, **fields: object) -> object:
        """Change fields of a router; None clears one."""
        request = router_admin_service_pb2.UpdateRouterRequest(
            router=router_pb2.Router(router_id=router_id, **{k: v for k, v in fields.items() if v is not None})
        )
        request.update_mask.paths.extend(fields)
        return (await self.admin.UpdateRouter(request)).router

    async def status(self, router_id: str = "") -> policy_pb2.PolicyStatus:
        """Return a router's status; on the way the books must balance."""
        request = router_admin_service_pb2.GetPolicyStatusRequest(router_id=router_id)
        status = (await self.admin.GetPolicyStatus(request)).status
        assert balanced(status.outcomes), status.outcomes
        return status

    async def stop(self) -> int:
        """Stop the server; returns the exit code."""
        self.app.stop()
        return await asyncio.wait_for(self.task, 30.0)


def config_for(
    data: Path,
    *,
    server: dict[str, object] | None = None,
    store: dict[str, object] | None = None,
    learner: dict[str, object] | None = None,
    routers: list[RouterConfig] | None = None,
) -> Config:
    """Return a configuration with small limits and without a fixed port."""
    return Config(
        server=ServerConfig(**({"listen": "127.0.0.1:0", "drain_grace_ms": 5000} | (server or {}))),
        store=StoreConfig(**({"data": str(data), "map_gib": 1} | (store or {}))),
        learner=LearnerConfig(**(learner or {})),
        routers=routers or [],
    )


@contextlib.asynccontextmanager
async def running(config: Config, clock: FakeClock | None = None) -> AsyncIterator[Server]:
    """Run a server until the block ends."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    bridges: list[Bridge] = []

    def make_bridge(*args: object) -> Bridge:
        bridges.append(Bridge(*args))
        return bridges[-1]

    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(app_module, "Bridge", make_bridge))
        if clock is not None:
            patches.enter_context(mock.patch.object(app_module, "SystemClock", return_value=clock))
        app = app_module.App(config)
        task = asyncio.create_task(app.run(ready.set_result))
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    server = Server(app, bridges[0], task)
    try:
        yield server
    finally:
        await server.channel.close()
        await server.stop()
