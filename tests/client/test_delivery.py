"""Deadlines and retries, as the server sees them."""
# ruff: noqa: ASYNC109 (a parameter of the test)

import asyncio
import time

import grpc
import pytest

from banditd_client import (
    DeadlineExceeded,
    NotFound,
    Outcome,
    OutcomeStatus,
    ResourceExhausted,
    RetryPolicy,
    Unavailable,
)
from banditd_client.channel import channel_options
from banditd_proto.v1 import routing_service_pb2

from .conftest import QUICK
from .fakes import HANG, UNAVAILABLE, FakeBanditd, Refusal

ID = "00112233445566778899aabbccddeeff"
APPLIED = routing_service_pb2.RecordOutcomeResponse(status="OUTCOME_STATUS_APPLIED")
GONE = Refusal(grpc.StatusCode.NOT_FOUND, "no model", "MODEL_NOT_FOUND")


async def test_a_route_is_repeated_with_the_same_request_id(server, caller):
    """A decision that was made before the connection broke is not made again."""
    server.play("Route", UNAVAILABLE, UNAVAILABLE, routing_service_pb2.RouteResponse(model_id="a"))
    assert (await caller("route", [1.0])).model == "a"
    requests = server.requests("Route")
    assert len(requests) == 3
    assert requests[0].request_id
    assert requests == [requests[0]] * 3


async def test_a_batch_is_repeated_with_the_same_request_id(server, connect):
    """As a route is."""
    server.play("RouteBatch", *[UNAVAILABLE] * 3)
    with pytest.raises(Unavailable):
        await connect(retry=RetryPolicy(3, 0.001, 0.002))("route_batch", [[1.0]])
    requests = server.requests("RouteBatch")
    assert len(requests) == 3
    assert requests[0].request_id
    assert requests == [requests[0]] * 3


async def test_an_outcome_is_repeated_with_the_same_id(server, caller):
    """It counts once, however often it is sent."""
    server.play("RecordOutcome", UNAVAILABLE, UNAVAILABLE, APPLIED)
    assert await caller("record_outcome", ID, quality=1.0) is OutcomeStatus.APPLIED
    requests = server.requests("RecordOutcome")
    assert len(requests) == 3
    assert requests[0].outcome.outcome_id
    assert requests == [requests[0]] * 3


async def test_outcomes_are_repeated_with_the_same_ids(server, caller):
    """Each of several has its own, made once; one that the caller gave stays."""
    answer = routing_service_pb2.RecordOutcomesResponse(results=[{"status": 1}, {"status": 1}])
    server.play("RecordOutcomes", UNAVAILABLE, answer)
    await caller("record_outcomes", [Outcome(ID, quality=1.0), Outcome(ID, "mine")])
    first, second = server.requests("RecordOutcomes")
    assert first == second
    assert len(first.outcomes[0].outcome_id) == 32
    assert first.outcomes[1].outcome_id == "mine"


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "INTERNAL", "ABORTED", "UNKNOWN", "DEADLINE_EXCEEDED"])
async def test_nothing_but_unavailable_is_repeated(server, caller, code):
    """Overload is not answered with more load."""
    server.play("Route", Refusal(grpc.StatusCode[code], "m", "QUEUE_FULL"))
    with pytest.raises(Exception) as caught:
        await caller("route", [1.0])
    assert caught.value.code == code
    assert len(server.received) == 1


async def test_overload_is_told_to_the_caller(server, caller):
    """With the server's reason, so that the caller backs off."""
    server.play("Route", Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "m", "QUEUE_FULL"))
    with pytest.raises(ResourceExhausted) as caught:
        await caller("route", [1.0])
    assert caught.value.reason == "QUEUE_FULL"


async def test_retries_end_with_the_error(server, connect):
    """The last one, after as many tries as allowed."""
    server.play("Route", *[UNAVAILABLE] * 9)
    with pytest.raises(Unavailable) as caught:
        await connect(retry=RetryPolicy(4, 0.001, 0.001))("route", [1.0])
    assert caught.value.reason == "DRAINING"
    assert len(server.received) == 4


async def test_one_attempt_means_no_retry(server, connect):
    """Neither ours nor one of gRPC's own."""
    server.play("Route", UNAVAILABLE)
    with pytest.raises(Unavailable):
        await connect(retry=RetryPolicy(1))("route", [1.0])
    assert len(server.received) == 1


async def test_a_server_that_forbids_a_retry_is_obeyed(server, caller):
    """The trailer that gRPC's own retries honour."""
    server.play("Route", Refusal(UNAVAILABLE.code, trailers=(("grpc-retry-pushback-ms", "-1"),)))
    with pytest.raises(Unavailable):
        await caller("route", [1.0])
    assert len(server.received) == 1


async def test_a_silent_server_costs_the_deadline_and_no_more(server, caller):
    """The caller's time is the caller's."""
    server.play("Route", HANG)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await caller("route", [1.0], timeout=0.2)
    assert 0.19 <= time.monotonic() - start < 2.0
    assert 0 < server.received[0].remaining_s <= 0.21


async def test_the_deadline_counts_retries(server, connect):
    """Each try is told what is left of the whole: here, less two pauses of at least 30 ms."""
    server.play("Route", UNAVAILABLE, UNAVAILABLE, HANG)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await connect(retry=RetryPolicy(9, 0.06, 0.06))("route", [1.0], timeout=0.3)
    assert time.monotonic() - start < 2.0
    assert len(server.received) == 3
    assert server.received[2].remaining_s <= 0.3 - 0.06 + 0.01


async def test_an_unavailable_server_does_not_outlast_the_deadline(server, connect):
    """However many tries are allowed."""
    server.play("Route", *[UNAVAILABLE] * 1000)
    start = time.monotonic()
    with pytest.raises((Unavailable, DeadlineExceeded)):  # which one, is a matter of where the time runs out
        await connect(retry=RetryPolicy(10_000, 0.02, 0.02))("route", [1.0], timeout=0.2)
    assert time.monotonic() - start < 2.0
    assert 2 <= len(server.received) <= 20  # pauses of at least 10 ms


async def test_calls_have_the_clients_timeouts(server, connect):
    """One for routes, which somebody waits for, and one for all else."""
    caller = connect(route_timeout=1.0, timeout=5.0)
    await caller("route", [1.0])
    await caller("record_outcome", ID)
    await caller("get_model", "a", timeout=60.0)
    left = [received.remaining_s for received in server.received]
    # gRPC rounds a timeout up when it sends it, by less than a hundredth.
    assert 0 < left[0] <= 1.01 < left[1] <= 5.05 < left[2] <= 60.6


@pytest.mark.parametrize("timeout", [0, -1.0, float("inf"), float("nan")])
async def test_timeouts_without_sense_are_refused(server, connect, timeout):
    """Nobody waits for ever, or not at all, by mistake."""
    with pytest.raises(ValueError, match="timeout: expected seconds above 0"):
        await connect()("get_model", "a", timeout=timeout)
    with pytest.raises(ValueError, match="timeout: expected seconds above 0"):
        connect(route_timeout=timeout)
    assert server.received == []


async def test_a_restored_snapshot_is_not_restored_again(server, caller):
    """The second time would undo what was learnt after the first."""
    server.play("RestoreSnapshot", UNAVAILABLE)
    with pytest.raises(Unavailable):
        await caller("restore_snapshot", 7)
    assert len(server.received) == 1


@pytest.mark.parametrize("name, method", [("delete_model", "DeleteModel"), ("delete_router", "DeleteRouter")])
async def test_what_a_failed_try_has_deleted_is_deleted(server, caller, name, method):
    """NOT_FOUND after a retry is success; at the first try it is the caller's mistake."""
    server.play(method, UNAVAILABLE, GONE, GONE)
    assert await caller(name, "a") is None
    with pytest.raises(NotFound):
        await caller(name, "a")


async def test_a_call_outlives_a_restart_of_the_server(server, connect):
    """The same call is answered by the next process on the same port, well within its deadline."""
    caller = connect(retry=RetryPolicy(1000, 0.01, 0.02))
    await caller("route", [1.0])
    await server.stop()
    running = asyncio.ensure_future(caller("route", [1.0], timeout=10.0))
    await asyncio.sleep(0.05)
    assert not running.done()
    successor = FakeBanditd()
    await successor.start(int(server.address.rpartition(":")[2]))
    await running
    assert len(successor.received) == 1
    await caller.close()
    await successor.stop()


def test_the_channel_is_set_up_for_this_service():
    """Pings no oftener than the server allows, batches of the largest size, nobody else retrying."""
    options = dict(channel_options([("grpc.keepalive_timeout_ms", 1)]))
    assert options["grpc.enable_retries"] == 0
    assert options["grpc.keepalive_time_ms"] >= 30_000
    assert options["grpc.keepalive_timeout_ms"] == 1
    assert options["grpc.max_send_message_length"] > 1024 * 4096 * 4
    assert options["grpc.max_receive_message_length"] >= 16 * 1024 * 1024
    assert options["grpc.initial_reconnect_backoff_ms"] < 1000


async def test_a_large_batch_passes(server, connect):
    """Beyond the 4 MiB that gRPC takes by default: our side does not refuse to send."""
    caller = connect(retry=QUICK)
    with pytest.raises(ResourceExhausted, match="larger than max"):
        await caller("route_batch", [bytes(4 * 4096)] * 300)  # the fake has gRPC's default and refuses to receive
    assert server.received == []


async def test_a_closed_client_says_so(connect):
    """Rather than to wait for a deadline."""
    caller = connect()
    await caller.close()
    with pytest.raises(ValueError, match="closed"):
        await caller("get_model", "a")
