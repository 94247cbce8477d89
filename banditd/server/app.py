"""Builds, starts and drains the server. Both orders are written here and nowhere else."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Final

import grpc.aio
import msgspec
import prometheus_client
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from banditd.catalog.health import HealthSettings
from banditd.config.schema import Config, RouterConfig
from banditd.domain.budget import Budget, BudgetWindow
from banditd.domain.clock import SystemClock
from banditd.domain.decision import Objective
from banditd.domain.health import Health as ModelState
from banditd.domain.model import ModelSpec, Price
from banditd.domain.router import DEFAULT_ROUTER, PolicySpec, RouterSpec
from banditd.errors import AlreadyExistsError, BanditdError, Reason, StartupError
from banditd.kernels import UNCACHED
from banditd.kernels.warmup import warm_up
from banditd.learner.books import Books
from banditd.learner.commands import Tend
from banditd.learner.recovery import recover
from banditd.learner.writer import Job, Writer, WriterSettings
from banditd.policies.registry import resolve
from banditd.server import settings
from banditd.server.address import check_address
from banditd.server.bridge import Bridge, deliver
from banditd.server.catalog_servicer import CatalogServicer
from banditd.server.handlers import Gate, generic_handlers
from banditd.server.health import Health
from banditd.server.names import SERVICES
from banditd.server.news import News
from banditd.server.router_admin_servicer import RouterAdminServicer
from banditd.server.routing_servicer import RoutingServicer
from banditd.store.env import Env
from banditd.store.log import Log
from banditd.store.snapshots import Snapshots
from banditd.telemetry.metrics import MethodMetrics, ServerCollector

_log = structlog.get_logger()

_TEND_INTERVAL_S: Final = 1.0
# Time that answers have to leave once all calls are done; what is still open then is a health watch, which never ends.
_CLOSE_GRACE_S: Final = 0.5
_GRPC_OPTIONS: Final = (
    # Two servers on one port would each get some of the traffic, unnoticed.
    ("grpc.so_reuseport", 0),
    ("grpc.max_metadata_size", 8192),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    ("grpc.server_handshake_timeout_ms", 5_000),
)


class App:
    """A server process.

    Args:
        config: The configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stopping = asyncio.Event()
        self.port = 0

    def stop(self) -> None:
        """Ask the server to drain and end; the event loop's thread only."""
        self._stopping.set()

    async def run(self, on_ready: Callable[[int], None] | None = None) -> int:
        """Serve until asked to stop; returns the exit code.

        Args:
            on_ready: Called with the port once the server serves.

        Raises:
            StartupError: The server cannot start.
        """
        config = self._config
        start = time.perf_counter()
        env = Env(Path(config.store.data), config.store.map_gib << 30)
        try:
            log, snapshots = Log(env), Snapshots(env)
            state = recover(log, snapshots)
            _warm_up()
            last = log.get(log.last_position) if log.last_position else None
            clock = SystemClock(0 if last is None else last.time_ms)
            books = Books(log.counters("books"))
            loop = asyncio.get_running_loop()

            def on_group(jobs: list[Job]) -> None:
                loop.call_soon_threadsafe(after_group, jobs)

            learner = config.learner
            writer = Writer(
                state,
                log,
                books,
                clock,
                WriterSettings(
                    learner.queue_commands_max,
                    learner.group_commands_max,
                    learner.snapshot_entries,
                    learner.snapshot_interval_ms,
                    learner.snapshots_kept,
                    HealthSettings(**msgspec.structs.asdict(config.health)),
                ),
                on_group,
            )
            news = News()
            bridge = Bridge(writer, log, snapshots, books, clock, env.secret, env.next_epoch())

            def after_group(jobs: list[Job]) -> None:
                deliver(jobs)
                news.tell(writer.news, writer.published.current.catalog)
                if writer.failure is not None:
                    _log.error("store.failed", message=str(writer.failure))
                    self.stop()
                elif writer.needs_tending and not self._stopping.is_set():
                    with contextlib.suppress(BanditdError):
                        writer.submit(Tend(), clock.now_ms())

            writer.start()
            try:
                await _seed(bridge, config)
                return await self._serve(bridge, news, start, on_ready)
            finally:
                await asyncio.to_thread(writer.stop)
        finally:
            env.close()

    async def _serve(self, bridge: Bridge, news: News, start: float, on_ready: Callable[[int], None] | None) -> int:
        config = self._config
        gate, health = Gate(config.server.in_flight_max), Health()
        methods: dict[str, MethodMetrics] = {}
        server = grpc.aio.server(
            options=[
                *_GRPC_OPTIONS,
                ("grpc.max_receive_message_length", config.server.message_bytes_max),
                ("grpc.max_send_message_length", config.server.message_bytes_max),
            ]
        )
        acks_early = config.store.decision_ack == "early"
        server.add_generic_rpc_handlers(
            generic_handlers(
                RoutingServicer(bridge, acks_early=acks_early),
                CatalogServicer(bridge),
                RouterAdminServicer(bridge, _router_defaults(config)),
                gate,
                methods,
                config.server.deadline_ms,
            )
        )
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
        reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME, "grpc.health.v1.Health"), server)
        check_address(config.server.listen)
        try:
            self.port = server.add_insecure_port(config.server.listen)
        except RuntimeError as error:
            # gRPC's own text only tells how to have it tell more.
            raise StartupError(
                Reason.LISTEN,
                f"cannot listen on {config.server.listen}: the port is taken, or the address is not this machine's",
            ) from error
        await server.start()
        metrics = _start_metrics(config.metrics.listen, methods, bridge, news)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, self.stop)
        await health.set_serving(serving=True)
        host = config.server.listen.rpartition(":")[0]
        _log.info(
            "server.started",
            listen=f"{host}:{self.port}",
            data=config.store.data,
            position=bridge.snapshot.position,
            seconds=round(time.perf_counter() - start, 3),
        )
        if on_ready is not None:
            on_ready(self.port)
        tending = asyncio.create_task(_tend(bridge))
        await self._stopping.wait()
        _log.info("server.draining", grace_ms=config.server.drain_grace_ms)
        await health.set_serving(serving=False)
        # While calls run, new ones are told why they are refused; only then the port is closed.
        await gate.drain(config.server.drain_grace_ms / 1000.0)
        tending.cancel()
        await server.stop(_CLOSE_GRACE_S)
        if metrics is not None:
            metrics()
        failed = bridge.writer.failure is not None
        _log.info("server.stopped", position=bridge.snapshot.position, code=int(failed))
        return int(failed)


def _warm_up() -> None:
    """Call every kernel once, and say so where each start will have to compile them anew."""
    warm_up()
    if UNCACHED:
        name, reason = next(iter(UNCACHED.items()))
        _log.warning("kernels.uncached", count=len(UNCACHED), kernel=name, reason=reason, cure="NUMBA_CACHE_DIR")


async def _tend(bridge: Bridge) -> None:
    """Let the writer do what is due, once a second."""
    while True:
        await asyncio.sleep(_TEND_INTERVAL_S)
        with contextlib.suppress(BanditdError):
            bridge.writer.submit(Tend(), bridge.clock.now_ms())


def _start_metrics(
    listen: str, methods: dict[str, MethodMetrics], bridge: Bridge, news: News
) -> Callable[[], None] | None:
    """Serve metrics; returns what ends it."""
    if not listen:
        return None
    host, _, port = listen.rpartition(":")
    registry = prometheus_client.CollectorRegistry()
    registry.register(
        ServerCollector(
            methods,
            {
                "banditd_unsaved_age_seconds": (
                    "Age of the oldest command that is not on disk yet.",
                    lambda: bridge.writer.oldest_age_s,
                ),
                "banditd_queued_commands": ("Commands that wait for the disk.", lambda: float(bridge.writer.queued)),
                "banditd_log_position": (
                    "Log position up to which decisions have learnt.",
                    lambda: float(bridge.snapshot.position),
                ),
                "banditd_unpriced_models": (
                    "Enabled models without a price: they are not chosen where money matters.",
                    lambda: float(sum(m.enabled and m.price is None for m in bridge.snapshot.catalog)),
                ),
            },
            bridge.books.all,
            lambda: _health_names(bridge),
            lambda: news.counts,
        )
    )
    try:
        server, thread = prometheus_client.start_http_server(int(port), host or "127.0.0.1", registry)
    except (OSError, ValueError) as error:
        raise StartupError(Reason.LISTEN, f"metrics.listen: cannot listen on {listen}: {error}") from error

    def end() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    return end


def _health_names(bridge: Bridge) -> dict[str, str]:
    """Return the name of each model's health."""
    snapshot = bridge.snapshot
    healthy = ModelState.HEALTHY
    return {model.model_id: snapshot.health.get(model.slot, healthy).name.lower() for model in snapshot.catalog}


async def _seed(bridge: Bridge, config: Config) -> None:
    """Create the default router and what the configuration names; what is there already stays as it is."""
    now_ms = bridge.clock.now_ms()
    for model in config.models:
        price = None
        if model.input_mtok_usd is not None and model.output_mtok_usd is not None:
            price = Price(model.input_mtok_usd, model.output_mtok_usd, model.cached_input_mtok_usd, model.request_usd)
        spec = ModelSpec(
            slot=0,
            model_id=model.id,
            price=price,
            context_window_tokens=model.context_window_tokens,
            tags=tuple(model.tags),
            quality_guess=model.quality_guess,
            latency_ms_guess=model.latency_ms_guess,
            sibling_model_id=model.sibling_model,
        )
        try:
            await bridge.change(settings.create_model(spec, now_ms))
        except AlreadyExistsError:
            _log.info("model.kept", model=model.id)
    routers = {router.id: _router_spec(router) for router in config.routers}
    routers.setdefault(DEFAULT_ROUTER, _router_defaults(config))
    for router_id, router in routers.items():
        try:
            await bridge.change(settings.create_router(router, now_ms))
        except AlreadyExistsError:
            _log.info("router.kept", router=router_id)


def _router_defaults(config: Config) -> RouterSpec:
    """Return the settings of a router of which nothing was said."""
    found = next((router for router in config.routers if router.id == DEFAULT_ROUTER), RouterConfig())
    return RouterSpec(
        router_id=DEFAULT_ROUTER,
        policy=_policy_spec(found),
        attribution_window_ms=found.attribution_window_ms,
        quality_guess=found.quality_guess,
    )


def _policy_spec(router: RouterConfig) -> PolicySpec:
    return PolicySpec(
        router.policy,
        MappingProxyType(dict(sorted(router.parameters.items()))),
        MappingProxyType(dict(sorted(router.texts.items()))),
    )


def _router_spec(router: RouterConfig) -> RouterSpec:
    return RouterSpec(
        router_id=router.id,
        policy=_policy_spec(router),
        embedding_dimension=router.embedding_dimension,
        embedding_model=router.embedding_model,
        model_ids=tuple(router.models),
        objective=Objective(router.usd_weight, router.second_weight),
        switch_usd=router.switch_usd,
        fallback_model_id=router.fallback_model,
        attribution_window_ms=router.attribution_window_ms,
        default_quality=router.default_quality,
        quality_guess=router.quality_guess,
        budget=_budget(router),
        exploration_share=router.exploration_share,
    )


def _budget(router: RouterConfig) -> Budget | None:
    if router.budget_usd is None:
        return None
    return Budget(router.budget_usd, BudgetWindow[router.budget_window.upper()], router.budget_hard)


def check_routers(config: Config) -> None:
    """Check what the schema cannot: names and policies.

    Raises:
        StartupError: One is wrong; the message names the key.
    """
    names = [model.id for model in config.models]
    for router in config.routers:
        try:
            policy = resolve(_policy_spec(router), f"routers[{router.id}].policy")
        except BanditdError as error:
            raise StartupError(Reason.CONFIG, error.message) from error
        if router.budget_usd is not None and policy.has_fixed_objective:
            raise StartupError(
                Reason.CONFIG,
                f"routers[{router.id}].budget_usd: expected none under {router.policy}, which has learnt the router's "
                f"trade-off and cannot follow the shadow price of a budget, got {router.budget_usd:g}",
            )
        if router.embedding_dimension == 1:
            raise StartupError(Reason.CONFIG, f"routers[{router.id}].embedding_dimension: expected 0 or 2..4096, got 1")
    for what, listed in (("models", names), ("routers", [router.id for router in config.routers])):
        if len(set(listed)) != len(listed):
            raise StartupError(Reason.CONFIG, f"{what}: expected each id once, got one twice")
