"""What `make bench` runs: prints a table and writes out/bench.json, one flat object of named figures.

Ratios are between figures of the same run and process, measured in turns (A B, then B A); medians are reported, since
the machine may be shared.
"""

import asyncio
import functools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

# Before NumPy is loaded: the fits of the encoding must not take the other core from what is measured.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import grpc.aio
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
import traffic

from banditd.domain.budget import Budget
from banditd.domain.context import Context
from banditd.domain.decision import Limits, Objective
from banditd.domain.health import Health
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.records import HealthChange
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.encode import encode
from banditd.routing import choose as choosing
from banditd.server.app import App
from banditd.server.garbage import settle_garbage
from banditd.telemetry.log import configure_logging
from banditd_proto.v1 import routing_service_pb2 as pb
from banditd_sim.environments.engine import Engine

# In turns, for the host's clock changes by a half from minute to minute.
ROUNDS = 20
SECONDS = 1.0
IN_FLIGHT = 96
BATCHES_IN_FLIGHT = 4
LEARNT_ROUNDS = 600


def best_us(call: Callable[[], object], calls: int = 20, repeats: int = 50) -> float:
    """Return microseconds per call: the best of many short runs, which a shared machine disturbs least."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        found.append((time.perf_counter() - start) / calls)
    return min(found) * 1e6


def interleaved_us(calls: dict[str, Callable[[], object]], rounds: int = 80) -> dict[str, float]:
    """Return the best of `best_us` of each call over rounds, in turns: A B, then B A.

    A shared host is slower by a factor of 1.8 for seconds at a time, plain Python included; so it takes many rounds.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls) if turn % 2 == 0 else list(calls)[::-1]:
            found[name].append(best_us(calls[name]))
    return {name: min(times) for name, times in found.items()}


def taught(prompts: npt.NDArray[np.float16], terms: choosing.Terms, budget: Budget | None = None) -> Engine:
    """Return a router that has routed the prompts: K = 10, default policy."""
    models = tuple(
        ModelSpec(k, f"model-{k}", Price(0.1 * (k + 1), 0.4 * (k + 1)), tags=("eu",)) for k in range(traffic.MODELS)
    )
    router = RouterSpec("bench", PolicySpec("linucb"), embedding_dimension=traffic.EMBEDDING, budget=budget)
    engine, rng = Engine(router, models, 0), np.random.default_rng(0)
    for x in prompts:
        position, decision = engine.route(x, terms)
        price = models[decision.slot].price
        assert price is not None
        unit, ratio, latency = price.blended_mtok_usd, float(rng.lognormal(-8.0, 0.5)), float(rng.lognormal(7.0, 0.5))
        engine.learn(position, decision, Lesson(float(rng.random()), unit * ratio, unit, latency))
    return engine


def constrained() -> dict[str, float]:
    """Return what budget, limits and health add to a decision: the same prompts with all three and without.

    The budget binds, so that a decision mixes two prices; cost, a percentile of the latency and a tag are limited; one
    model is degraded.
    """
    prompts, objective = traffic.embeddings(LEARNT_ROUNDS).astype(np.float16), Objective(second_weight=0.01)
    bound = taught(prompts, choosing.Terms(objective), Budget(1.5e-4))
    bound.append(HealthChange(traffic.MODELS - 1, Health.DEGRADED, 1 << 40))
    limits = Limits(cost_usd_max=1.0, latency_ms_max=1e6, required_tags=("eu",), latency_percentile=95.0)
    calls: dict[str, Callable[[], object]] = {}
    for name, engine, terms in (
        ("plain", taught(prompts, choosing.Terms(objective)), choosing.Terms(objective)),
        ("bound", bound, choosing.Terms(objective, limits)),
    ):
        snapshot, context = engine.router_snapshot, Context(prompts[0], 100)
        calls[name] = functools.partial(choosing.choose, snapshot, context, terms, 0.3)
    assert bound.router_snapshot.pacing.share_high > 0.0
    times = interleaved_us(calls)
    return {
        "choose_with_budget_limits_health_us": times["bound"],
        "choose_with_budget_limits_health_vs_without": times["bound"] / times["plain"],
    }


def core() -> dict[str, float]:
    """Return the costs of deciding and learning without a server: D = 64 from 384 values, K = 10, default policy."""
    prompts = traffic.embeddings(LEARNT_ROUNDS).astype(np.float16)
    terms = choosing.Terms(Objective(usd_weight=10.0, second_weight=0.01))
    engine = taught(prompts, terms)
    models = engine.router_snapshot.models
    snapshot = engine.snapshot.routers["bench"]
    belief = engine.state.routers["bench"].belief
    assert snapshot.features is not None
    assert snapshot.belief is not None
    assert belief is not None
    row = encode(snapshot.features, Context(prompts[0], 100))
    context, one, all_three = Context(prompts[0], 100), Lesson(quality=0.5), Lesson(0.5, 1e-3, 1.0, 500.0)
    frozen = snapshot.belief

    def choose_from_row() -> object:
        return choosing.choose_encoded(snapshot, row, context, terms, 0.3)

    wide = np.stack([np.eye(66) for _ in range(traffic.MODELS)])

    def score_in_numpy() -> object:
        return np.einsum("kij,i,j->k", wide, row, row), wide[:, 0] @ row

    return interleaved_us(
        {
            "choose_us": choose_from_row,
            "choose_with_encoding_us": lambda: choosing.choose(snapshot, context, terms, 0.3),
            "encode_us": lambda: encode(snapshot.features, Context(prompts[0], 100)),
            "predict_us": lambda: frozen.predict(row),
            "numpy_quality_scores_us": score_in_numpy,
            "update_us": lambda: belief.learn(models[0], row, one),
            "learn_outcome_us": lambda: belief.learn(models[0], row, all_three),
        }
    )


async def empty_server(reply: pb.RouteResponse) -> tuple[grpc.aio.Server, int]:
    """Start a server whose handler parses a RouteRequest and returns *reply*: what the transport allows."""

    async def answer(_request: pb.RouteRequest, _context: object) -> pb.RouteResponse:
        return reply

    handler = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=pb.RouteRequest.FromString,
        response_serializer=pb.RouteResponse.SerializeToString,
    )
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("banditd.bench.EmptyService", {"Route": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


async def start(data: Path, *, acks_early: bool) -> tuple[App, "asyncio.Task[int]", int]:
    """Start a server in this process and teach it; returns it with its port."""
    app = App(traffic.config(data, acks_early))
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.run(ready.set_result))
    await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    port = await ready
    await traffic.teach(port)
    return app, task, port


async def served() -> dict[str, float]:
    """Return the throughput of Route and RouteBatch beside an empty handler, all in this process."""
    with tempfile.TemporaryDirectory() as folder:
        durable, durable_task, durable_port = await start(Path(folder) / "durable", acks_early=False)
        early, early_task, early_port = await start(Path(folder) / "early", acks_early=True)
        await asyncio.sleep(1.0)
        channels = [traffic.channel(port) for port in (durable_port, early_port)]
        messages = traffic.requests()
        reply = await traffic.stub(channels[0], traffic.ROUTE)(messages[0])
        server, port = await empty_server(reply)
        channels.append(traffic.channel(port))
        # As `banditd serve` does once it serves.
        settle_garbage()
        batches = traffic.batch_requests()
        # What is called, with which messages, and how many calls are under way.
        calls = {
            "empty": (traffic.stub(channels[2], traffic.EMPTY), messages, IN_FLIGHT),
            "durable": (traffic.stub(channels[0], traffic.ROUTE), messages, IN_FLIGHT),
            "early": (traffic.stub(channels[1], traffic.ROUTE), messages, IN_FLIGHT),
            "batch": (traffic.stub(channels[0], traffic.ROUTE_BATCH), batches, BATCHES_IN_FLIGHT),
        }
        rates: dict[str, list[float]] = {name: [] for name in calls}
        for turn in range(ROUNDS):
            for name in list(calls) if turn % 2 == 0 else list(calls)[::-1]:
                call, sent, in_flight = calls[name]
                rate, _ = await traffic.closed_loop(call, sent, in_flight=in_flight, seconds=SECONDS)
                rates[name].append(rate)
        _, alone = await traffic.closed_loop(calls["durable"][0], messages, in_flight=1, seconds=SECONDS)
        for channel in channels:
            await channel.close()
        await server.stop(0)
        for app in (durable, early):
            app.stop()
        await asyncio.gather(durable_task, early_task)
    median = {name: statistics.median(found) for name, found in rates.items()}
    ratios = {
        name: statistics.median(a / b for a, b in zip(rates[name], rates[beside], strict=True))
        for name, beside in (("durable", "empty"), ("early", "empty"), ("batch", "durable"))
    }
    return {
        "empty_handler_rps": median["empty"],
        "durable_route_rps": median["durable"],
        "early_ack_route_rps": median["early"],
        "durable_route_vs_empty_handler": ratios["durable"],
        "early_ack_route_vs_empty_handler": ratios["early"],
        "batch256_decisions_per_second": median["batch"] * traffic.BATCH_ROWS,
        "batch256_vs_unary": ratios["batch"] * traffic.BATCH_ROWS,
        "durable_route_alone_p50_ms": statistics.median(alone) * 1e3,
    }


def main() -> None:
    """Measure, print, write."""
    configure_logging("error", "json")
    figures = core() | constrained() | asyncio.run(served())
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "grpcio", "protobuf", "lmdb"))
    table = Table(title=f"Python {platform.python_version()}, {os.cpu_count()} cores, {versions}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3g}" if value < 100 else f"{value:,.0f}")
    Console().print(table)
    out = Path("out")
    out.mkdir(exist_ok=True)
    (out / "bench.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
