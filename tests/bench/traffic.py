"""Traffic for the benches: a router with ten models, prompts from a few clusters, and closed loops of callers."""

import asyncio
import time
from pathlib import Path

import grpc.aio
import numpy as np

from banditd.config.schema import Config, LearnerConfig, LogConfig, ModelConfig, RouterConfig, ServerConfig, StoreConfig
from banditd_proto.v1 import outcome_pb2
from banditd_proto.v1 import routing_service_pb2 as pb

MODELS, EMBEDDING = 10, 384
BATCH_ROWS = 256
_CLUSTERS = 24
_PROMPTS = 512
# Enough for the first two fits of the encoding; the third comes at 4,096, the fourth at 16,384 decisions.
_LEARNT_BATCHES = 20
ROUTE = "/banditd.v1.RoutingService/Route"
ROUTE_BATCH = "/banditd.v1.RoutingService/RouteBatch"
RECORD_OUTCOMES = "/banditd.v1.RoutingService/RecordOutcomes"
EMPTY = "/banditd.bench.EmptyService/Route"
EMPTY_OF_BATCH = "/banditd.bench.EmptyService/RouteBatch"


def embeddings(count, seed=0):
    """Return prompts: shape (count, EMBEDDING), float32, of unit length, around a few centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((_CLUSTERS, EMBEDDING))
    x = centres[rng.integers(0, _CLUSTERS, count)] + rng.standard_normal((count, EMBEDDING))
    return np.ascontiguousarray(x / np.linalg.norm(x, axis=1, keepdims=True), np.float32)


def config(data: Path, acks_early: bool) -> Config:
    """Return a server with ten priced models and a default policy that weighs dollars and seconds."""
    return Config(
        server=ServerConfig(listen="127.0.0.1:0"),
        store=StoreConfig(data=str(data), map_gib=8, decision_ack="early" if acks_early else "commit"),
        # A full queue would refuse what a bench of early answers sends faster than the disk takes.
        learner=LearnerConfig(queue_commands_max=1_000_000),
        log=LogConfig(level="error"),
        models=[
            ModelConfig(id=f"provider/model-{k}", input_mtok_usd=0.1 * (k + 1), output_mtok_usd=0.4 * (k + 1))
            for k in range(MODELS)
        ],
        routers=[RouterConfig(embedding_dimension=EMBEDDING, usd_weight=10.0, second_weight=0.01)],
    )


def requests(request_ids=""):
    """Return RouteRequests that differ; with *request_ids* as a prefix, each of them is remembered."""
    return [
        pb.RouteRequest(
            request_id=f"{request_ids}-{i}" if request_ids else "",
            context={"embedding_float32": x.tobytes(), "input_token_count": 40 + i},
        )
        for i, x in enumerate(embeddings(_PROMPTS))
    ]


def batch_requests():
    """Return RouteBatchRequests of 256 rows."""
    x = embeddings(8 * BATCH_ROWS, seed=1).reshape(8, BATCH_ROWS, EMBEDDING)
    return [
        pb.RouteBatchRequest(
            embeddings_float32=rows.tobytes(), row_count=BATCH_ROWS, input_token_counts=[100] * BATCH_ROWS
        )
        for rows in x
    ]


def channel(port):
    """Return a channel of its own connection."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])


def stub(port_channel, method):
    """Return the method as a function; messages are serialised and parsed alike for every method."""
    name = method.rpartition("/")[2]
    request = getattr(pb, f"{name}Request")
    response = getattr(pb, f"{name}Response")
    return port_channel.unary_unary(
        method, request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )


async def teach(port):
    """Route and record until the encoding has been fitted twice and every model has been tried."""
    rng = np.random.default_rng(2)
    async with channel(port) as connection:
        route, record = stub(connection, ROUTE_BATCH), stub(connection, RECORD_OUTCOMES)
        sent = batch_requests()
        for i in range(_LEARNT_BATCHES):
            reply = await route(sent[i % len(sent)])
            ids = [reply.decision_ids[at : at + 16].hex() for at in range(0, len(reply.decision_ids), 16)]
            outcomes = [
                outcome_pb2.Outcome(
                    decision_id=decision_id,
                    quality=float(rng.random() * 0.5 + 0.05 * k),
                    cost_usd=float(rng.lognormal(-8.0, 0.5)),
                    latency_ms=float(rng.lognormal(7.0, 0.5)),
                )
                for decision_id, k in zip(ids, reply.model_indices, strict=True)
            ]
            await record(pb.RecordOutcomesRequest(outcomes=outcomes))


async def closed_loop(call, messages, *, in_flight, seconds):
    """Keep *in_flight* calls under way; return calls per second and their latencies in seconds."""
    latencies = []
    clock = time.perf_counter
    start = clock()
    end = start + seconds

    async def caller(offset):
        at = offset
        while (began := clock()) < end:
            await call(messages[at % len(messages)])
            latencies.append(clock() - began)
            at += in_flight

    await asyncio.gather(*(caller(i) for i in range(in_flight)))
    return len(latencies) / (clock() - start), latencies
