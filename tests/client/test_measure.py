"""`measure`: times the body, reports its outcome, never gets in its way."""

import asyncio
import time

import grpc
import pytest

from banditd_client import (
    AsyncClient,
    DecisionSource,
    Failure,
    InvalidArgument,
    OutcomeStatus,
    Route,
    Unavailable,
)
from banditd_proto.v1 import outcome_pb2, routing_service_pb2

from .fakes import UNAVAILABLE, Refusal

ID = "00112233445566778899aabbccddeeff"
ROUTE = Route(ID, "a", 0.5, (), 1, DecisionSource.POLICY, learnable=True)
FALLBACK = Route("", "a", None, (), 0, DecisionSource.CLIENT_FALLBACK, learnable=False)
APPLIED = routing_service_pb2.RecordOutcomeResponse(status="OUTCOME_STATUS_APPLIED")
INVALID = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "outcome.quality: expected 0..1, got 7", "QUALITY_OUT_OF_RANGE")


def raising(error, **values):
    """Return a body that fills in *values* and raises."""

    def body(call):
        for name, value in values.items():
            setattr(call, name, value)
        raise error

    return body


def setting(**values):
    """Return a body that fills in *values*."""

    def body(call):
        for name, value in values.items():
            setattr(call, name, value)

    return body


def reported(server):
    """Return the one outcome that arrived."""
    (request,) = server.requests("RecordOutcome")
    return request.outcome


async def test_the_time_of_the_body_is_reported(server, caller):
    """In milliseconds, and no more than went by."""
    server.play("RecordOutcome", APPLIED)
    start = time.perf_counter()
    call, error = await caller.measured(ROUTE, lambda _: time.sleep(0.005))
    outcome = reported(server)
    assert error is None
    assert call.status is OutcomeStatus.APPLIED
    assert outcome.decision_id == ID
    assert outcome.failure == outcome_pb2.FAILURE_UNSPECIFIED
    assert 5.0 <= outcome.latency_ms <= (time.perf_counter() - start) * 1000
    assert call.latency_ms == outcome.latency_ms


async def test_what_the_body_fills_in_is_reported(server, caller):
    """Each attribute has its field."""
    values = {"quality": 0.0, "input_tokens": 3, "output_tokens": 0, "cost_usd": 1e-7, "served_model": "b"}
    await caller.measured(ROUTE, setting(**values, cached_input_tokens=2, latency_ms=1.5))
    outcome = reported(server)
    assert outcome.outcome_id
    outcome.outcome_id = ""
    assert outcome == outcome_pb2.Outcome(
        decision_id=ID,
        quality=0.0,
        cost_usd=1e-7,
        input_token_count=3,
        cached_input_token_count=2,
        output_token_count=0,
        latency_ms=1.5,
        served_model_id="b",
    )


@pytest.mark.parametrize(
    "raised, failure",
    [
        (TimeoutError("late"), "TIMEOUT"),
        (ConnectionResetError("gone"), "UNAVAILABLE"),
        (RuntimeError("the provider's own"), "UNAVAILABLE"),
    ],
    ids=["timeout", "connection", "other"],
)
async def test_an_exception_is_reported_as_a_failure_and_goes_on(server, caller, raised, failure):
    """With what the body had filled in; a time without an answer is no latency."""
    _, error = await caller.measured(ROUTE, raising(raised, input_tokens=3))
    outcome = reported(server)
    assert error is raised
    assert outcome.failure == outcome_pb2.Failure.Value(f"FAILURE_{failure}")
    assert outcome.input_token_count == 3
    assert not outcome.HasField("latency_ms")


async def test_the_bodys_own_failure_wins(server, caller):
    """It knows what its provider's exception means."""
    await caller.measured(ROUTE, raising(RuntimeError("429"), failure=Failure.RATE_LIMIT))
    assert reported(server).failure == outcome_pb2.FAILURE_RATE_LIMIT


@pytest.mark.parametrize(
    "failure, answered",
    [("REFUSAL", True), ("MALFORMED_OUTPUT", True), ("TIMEOUT", False), ("RATE_LIMIT", False), ("UNAVAILABLE", False)],
)
async def test_latency_needs_a_complete_answer(server, caller, failure, answered):
    """A refusal took its time; a timeout is ours."""
    await caller.measured(ROUTE, setting(failure=Failure[failure]))
    assert reported(server).HasField("latency_ms") is answered


async def test_an_interrupt_says_nothing_of_the_model(server, connect):
    """Ctrl-C is not a failure of the provider; a KeyboardInterrupt would stop the event loop, so its like is raised."""

    class Interrupt(BaseException):
        pass

    interrupt = Interrupt()
    _, error = await connect().measured(ROUTE, raising(interrupt))
    assert error is interrupt
    assert server.received == []


async def test_a_cancelled_body_reports_nothing(server):
    """The task was not wanted any more; cancelling must not wait for a report."""
    async with AsyncClient(server.address) as client:

        async def body():
            async with client.measure(ROUTE):
                await asyncio.Event().wait()

        task = asyncio.ensure_future(body())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert server.received == []


@pytest.mark.parametrize(
    "refusal, values", [(INVALID, {}), (UNAVAILABLE, {}), (None, {"quality": "good"})], ids=["bad", "away", "type"]
)
async def test_a_report_never_masks_the_bodys_exception(server, connect, refusal, values):
    """Whatever is wrong with the report."""
    if refusal:
        server.play("RecordOutcome", *[refusal] * 50)
    raised = KeyError("body")
    call, error = await connect().measured(ROUTE, raising(raised, **values))
    assert error is raised
    assert call.status is None
    assert call.report_error is not None


async def test_a_server_out_of_reach_does_not_cost_the_answer(server, connect, caplog):
    """The model has answered; the report is logged as lost, without a word of the prompt."""
    server.play("RecordOutcome", *[UNAVAILABLE] * 50)
    call, error = await connect().measured(ROUTE, setting())
    assert error is None
    assert call.status is None
    assert type(call.report_error) is Unavailable
    assert caplog.messages == ["outcome was not reported: UNAVAILABLE"]


async def test_a_mistake_in_the_report_is_raised(server, caller):
    """After a good body nothing is masked, and the caller's code is wrong."""
    server.play("RecordOutcome", INVALID)
    _, error = await caller.measured(ROUTE, setting(quality=7.0))
    assert type(error) is InvalidArgument


async def test_a_client_side_fallback_is_measured_and_not_sent(server, caller):
    """The caller's code stays the same."""
    call, error = await caller.measured(FALLBACK, setting())
    assert error is None
    assert call.status is OutcomeStatus.NOT_SENT
    assert call.latency_ms >= 0
    assert server.received == []


async def test_a_repeated_report_counts_once(server, caller):
    """The same outcome id in every try."""
    server.play("RecordOutcome", UNAVAILABLE, APPLIED)
    call, _ = await caller.measured(ROUTE, setting(quality=1.0))
    first, second = server.requests("RecordOutcome")
    assert call.status is OutcomeStatus.APPLIED
    assert first == second
