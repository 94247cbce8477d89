"""Stopping, overload and early acknowledgement: what is promised while not everything can be done at once."""

import asyncio
import contextlib
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2
from structlog.testing import capture_logs

from banditd.server import app
from banditd_proto.v1 import outcome_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.conftest import furnish
from tests.server.harness import batch_request, config_for, refused, route_request, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@contextlib.asynccontextmanager
async def deciding(config):
    """Run a server with three models that has made a decision."""
    async with running(config) as server:
        await furnish(server)
        await server.route()
        yield server


async def health(server):
    """Return what the health check says."""
    return (await server.health.Check(health_pb2.HealthCheckRequest())).status


async def test_draining_finishes_what_runs_and_tells_others_to_go(server, blocked_writer):
    """Health says NOT_SERVING at once, new calls are told DRAINING, running ones are answered and on disk."""
    await server.route()
    release = await blocked_writer(server)
    underway = [asyncio.ensure_future(server.route(seed)) for seed in range(5)]
    await asyncio.sleep(0.1)
    server.app.stop()
    await asyncio.sleep(0.1)
    assert await health(server) == NOT_SERVING
    for method in ("Route", "GetPolicyStatus", "ListModels"):
        refusal = await refused(server.raw(method, b""))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert not any(call.done() for call in underway)
    release()
    answers = await asyncio.gather(*underway)
    assert len({answer.decision_id for answer in answers}) == 5
    assert await server.stop() == 0


async def test_what_was_answered_while_draining_is_there_after_the_restart(tmp_path, blocked_writer):
    """Decisions and outcomes."""
    config = config_for(tmp_path / "data")
    async with running(config) as server:
        await furnish(server)
        first = await server.route()
        release = await blocked_writer(server)
        decision = asyncio.ensure_future(server.route(1))
        outcome = asyncio.ensure_future(server.record(first.decision_id, quality=0.5))
        await asyncio.sleep(0.05)
        server.app.stop()
        release()
        answer, status = await decision, await outcome
        assert status == outcome_pb2.OUTCOME_STATUS_APPLIED
    async with running(config) as server:
        assert (await server.decision(answer.decision_id)).model_id == answer.model_id
        assert await server.record(first.decision_id, quality=0.5) == outcome_pb2.OUTCOME_STATUS_DUPLICATE


async def test_draining_waits_no_longer_than_it_was_given(tmp_path, blocked_writer):
    """A call that does not end is cut off; what it queued is still done before the store is closed."""
    config = config_for(tmp_path / "data", server={"drain_grace_ms": 200})
    async with deciding(config) as server:
        release = await blocked_writer(server)
        stuck = asyncio.ensure_future(refused(server.route(1)))
        await asyncio.sleep(0.05)
        start = time.perf_counter()
        server.app.stop()
        refusal = await stuck
        assert time.perf_counter() - start < 2.0
        assert refusal.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        release()
        assert await server.stop() == 0
    async with running(config) as server:
        assert (await server.status()).decisions.decision_count == 2


async def test_a_health_watch_does_not_hold_up_the_end(server):
    """A watcher hears of the change, and the server does not wait out the whole grace for it."""
    watch = server.health.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    start = time.perf_counter()
    server.app.stop()
    assert (await watch.read()).status == NOT_SERVING
    assert await server.stop() == 0
    assert time.perf_counter() - start < 3.0


# --- overload --------------------------------------------------------------------------------------------------------


async def test_calls_beyond_the_limit_are_refused_quickly(tmp_path, blocked_writer):
    """While the disk stands still, what fits waits, and what does not is told at once; nobody is answered wrongly."""
    config = config_for(tmp_path / "data", server={"in_flight_max": 8})
    async with deciding(config) as server:
        release = await blocked_writer(server)
        waiting = [asyncio.ensure_future(server.route(seed)) for seed in range(8)]
        await asyncio.sleep(0.1)
        start = time.perf_counter()
        for method in ("Route", "ListModels", "RecordOutcome"):
            refusal = await refused(server.raw(method, b""))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
            assert int(refusal.pushback_ms) > 0
        assert time.perf_counter() - start < 0.5
        assert await health(server) == SERVING
        release()
        await asyncio.gather(*waiting)
        await server.route()
        assert (await server.status()).decisions.decision_count == 10


async def test_commands_beyond_the_queue_are_refused_and_counted(tmp_path, blocked_writer):
    """An outcome that found no room is rejected in the books, not waiting for ever."""
    config = config_for(tmp_path / "data", learner={"queue_commands_max": 16})
    async with running(config) as server:
        await furnish(server)
        ids = [(await server.route(seed)).decision_id for seed in range(4)]
        release = await blocked_writer(server)
        waiting = [asyncio.ensure_future(server.route(seed)) for seed in range(16)]
        await asyncio.sleep(0.5)
        assert server.bridge.writer.queued == 16
        for call in (server.route(), server.routing.RouteBatch(batch_request(2)), server.record(ids[0], quality=1.0)):
            refusal = await refused(call)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        outcomes = [outcome_pb2.Outcome(decision_id=i, quality=0.5) for i in ids]
        refusal = await refused(server.routing.RecordOutcomes(pb.RecordOutcomesRequest(outcomes=outcomes)))
        assert refusal.reason == "OVERLOADED"
        books = server.bridge.books.all()
        assert (books["received"], books["rejected"], books["waiting"]) == (5, 5, 0)
        release()
        await asyncio.gather(*waiting)
        results = (await server.routing.RecordOutcomes(pb.RecordOutcomesRequest(outcomes=outcomes))).results
        assert {r.status for r in results} == {outcome_pb2.OUTCOME_STATUS_APPLIED}
        assert (await server.status()).outcomes.received_count == 9


async def test_a_call_without_a_deadline_is_not_worked_on_for_ever(tmp_path, blocked_writer):
    """While the disk stands still it is given up; one that has a deadline keeps to that; what was queued is done."""
    config = config_for(tmp_path / "data", server={"deadline_ms": 300})
    async with deciding(config) as server:
        release = await blocked_writer(server)
        patient = asyncio.ensure_future(server.routing.Route(route_request(2), timeout=20.0))
        refusal = await refused(server.route(1))
        assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "0.3 s" in refusal.message
        await asyncio.sleep(0.3)
        assert not patient.done()
        release()
        assert (await patient).decision_id
        assert (await server.status()).decisions.decision_count == 3


async def test_books_balance_at_every_moment(server):
    """P20 under load, looked at as often as there is time."""
    seen, load = [], []

    async def drive(seed):
        answer = await server.route(seed)
        for facts in ({"quality": 0.5}, {"quality": 0.5}, {"latency_ms": 3.0}, {"failure": 1}):
            await server.record(answer.decision_id, **facts)
        await refused(server.record(answer.decision_id, quality=7.0))

    load = [asyncio.ensure_future(drive(seed)) for seed in range(40)]
    while not all(task.done() for task in load):
        books = server.bridge.books.all()
        received = books.pop("received")
        assert received == sum(books.values())
        seen.append(books["waiting"])
        await asyncio.sleep(0)
    await asyncio.gather(*load)
    assert max(seen) > 0
    books = (await server.status()).outcomes
    assert (books.received_count, books.applied_count, books.duplicate_count) == (200, 80, 40)
    assert (books.not_learned_count, books.rejected_count, books.waiting_count) == (40, 40, 0)


# --- early acknowledgement -------------------------------------------------------------------------------------------


@pytest.fixture
async def early(tmp_path):
    """A server that answers decisions before they are on disk."""
    async with running(config_for(tmp_path / "data", store={"decision_ack": "early"})) as server:
        await furnish(server)
        await server.route()
        yield server


async def test_early_decisions_do_not_wait_for_the_disk(early, blocked_writer):
    """Outcomes still do; a repeated request is answered alike; the decision can be looked at once it is there."""
    release = await blocked_writer(early)
    first = await early.routing.Route(route_request(1, request_id="r-1"), timeout=5.0)
    again = await early.routing.Route(route_request(1, request_id="r-1"), timeout=5.0)
    assert again == first
    assert len((await early.routing.RouteBatch(batch_request(3), timeout=5.0)).decision_ids) == 48
    outcome = asyncio.ensure_future(early.record(first.decision_id, quality=0.5))
    look = asyncio.ensure_future(early.decision(first.decision_id))
    await asyncio.sleep(0.1)
    assert not outcome.done()
    assert not look.done()
    assert early.bridge.writer.oldest_age_s > 0.0
    release()
    assert await outcome == outcome_pb2.OUTCOME_STATUS_APPLIED
    assert (await look).propensity == first.propensity
    assert await early.routing.Route(route_request(1, request_id="r-1")) == first
    assert (await early.status()).decisions.decision_count == 5


async def test_kernels_that_are_compiled_anew_are_told_of(tmp_path, monkeypatch):
    """Once, with the cure; and nothing is said where all is well."""
    for uncached, told in (({}, 0), ({"draw": "no writable place", "ucb": "likewise"}, 1)):
        monkeypatch.setattr(app, "UNCACHED", uncached)
        with capture_logs() as lines:
            async with running(config_for(tmp_path / str(told))):
                pass
        found = [line for line in lines if line["event"] == "kernels.uncached"]
        assert len(found) == told
        assert all(line["count"] == 2 and line["kernel"] == "draw" for line in found)
