"""Outcomes: what is sent, what is not, and what became of it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from banditd_client import Failure, Internal, InvalidArgument, Outcome, OutcomeResult, OutcomeStatus, ResourceExhausted
from banditd_proto.v1 import outcome_pb2, routing_service_pb2

ID = "00112233445566778899aabbccddeeff"


async def test_an_outcome_carries_what_was_given(server, caller):
    """Each keyword has its field; times are sent in UTC."""
    await caller(
        "record_outcome",
        ID,
        outcome_id="o1",
        quality=0.0,
        cost_usd=0.0,
        input_tokens=0,
        cached_input_tokens=0,
        output_tokens=5,
        latency_ms=12.5,
        failure=Failure.REFUSAL,
        served_model="b",
        observed_at=datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=timezone(timedelta(hours=2))),
    )
    assert server.requests("RecordOutcome") == [
        routing_service_pb2.RecordOutcomeRequest(
            outcome=outcome_pb2.Outcome(
                decision_id=ID,
                outcome_id="o1",
                quality=0.0,
                cost_usd=0.0,
                input_token_count=0,
                cached_input_token_count=0,
                output_token_count=5,
                latency_ms=12.5,
                failure="FAILURE_REFUSAL",
                served_model_id="b",
                observe_time=datetime(2026, 1, 2, 1, 4, 5, 6000, tzinfo=UTC),
            )
        )
    ]


async def test_what_was_not_seen_is_not_sent(server, caller):
    """A quality that is absent is not the worst one."""
    await caller("record_outcome", ID)
    (request,) = server.requests("RecordOutcome")
    request.outcome.outcome_id = ""
    assert request == routing_service_pb2.RecordOutcomeRequest(outcome={"decision_id": ID})


@pytest.mark.parametrize("status", [s for s in OutcomeStatus if s not in {"NOT_SENT", "UNKNOWN"}])
async def test_the_status_is_told(server, caller, status):
    """What became of it, as an enum that is a string."""
    server.play("RecordOutcome", routing_service_pb2.RecordOutcomeResponse(status=f"OUTCOME_STATUS_{status}"))
    got = await caller("record_outcome", ID)
    assert got is status
    assert got == status.name


async def test_an_outcome_of_no_decision_is_not_sent(server, caller):
    """After a client-side fallback the caller's code stays the same."""
    assert await caller("record_outcome", "", quality=1.0) is OutcomeStatus.NOT_SENT
    assert await caller("record_outcomes", [Outcome("")]) == [OutcomeResult(OutcomeStatus.NOT_SENT)]
    assert await caller("record_outcomes", []) == []
    assert server.received == []


async def test_each_of_several_outcomes_has_its_result(server, caller):
    """In the order given: applied, not sent, refused, duplicate."""
    results = [
        {"status": "OUTCOME_STATUS_APPLIED"},
        {"error_code": 3, "error_reason": "QUALITY_OUT_OF_RANGE", "error_message": "quality: expected 0..1, got 7"},
        {"status": "OUTCOME_STATUS_DUPLICATE"},
    ]
    server.play("RecordOutcomes", routing_service_pb2.RecordOutcomesResponse(results=results))
    outcomes = [Outcome(ID, quality=1.0), Outcome(""), Outcome(ID, quality=7.0), Outcome(ID, latency_ms=1.0)]
    applied, not_sent, refused, duplicate = await caller("record_outcomes", outcomes)
    assert applied == OutcomeResult(OutcomeStatus.APPLIED)
    assert not_sent == OutcomeResult(OutcomeStatus.NOT_SENT)
    assert duplicate == OutcomeResult(OutcomeStatus.DUPLICATE)
    assert refused.status is None
    assert type(refused.error) is InvalidArgument
    assert (refused.error.reason, refused.error.field) == ("QUALITY_OUT_OF_RANGE", "quality")
    assert [o.quality for o in server.requests("RecordOutcomes")[0].outcomes] == [1.0, 7.0, 0.0]


@pytest.mark.parametrize("result_count", [0, 1, 3])
async def test_answers_that_do_not_fit_are_refused(server, caller, result_count):
    """A result must not be taken for another outcome's."""
    results = [{"status": "OUTCOME_STATUS_APPLIED"}] * result_count
    server.play("RecordOutcomes", routing_service_pb2.RecordOutcomesResponse(results=results))
    with pytest.raises(Internal, match="results: expected 2"):
        await caller("record_outcomes", [Outcome(ID), Outcome(""), Outcome(ID)])


async def test_a_refused_outcome_has_the_class_that_a_call_would_have(server, caller):
    """By its code, as everywhere."""
    result = {"error_code": 8, "error_reason": "STORAGE_FULL"}
    server.play("RecordOutcomes", routing_service_pb2.RecordOutcomesResponse(results=[result]))
    (got,) = await caller("record_outcomes", [Outcome(ID)])
    assert type(got.error) is ResourceExhausted


async def test_a_time_without_a_zone_is_refused(server, caller):
    """Two machines would read it differently."""
    with pytest.raises(ValueError, match="observed_at: expected a time zone, got none"):
        await caller("record_outcome", ID, observed_at=datetime(2026, 1, 1))  # noqa: DTZ001 (that is the point)
    assert server.received == []


@pytest.mark.parametrize("failure", ["TIMEOUT", Failure.TIMEOUT])
async def test_a_failure_may_be_its_name(server, caller, failure):
    """The enum's values are strings."""
    await caller("record_outcome", ID, failure=failure)
    assert server.requests("RecordOutcome")[0].outcome.failure == outcome_pb2.FAILURE_TIMEOUT


@pytest.mark.parametrize("failure", ["EXPLODED", Failure.UNKNOWN])
async def test_an_unknown_failure_is_not_sent(server, caller, failure):
    """UNKNOWN is what this client could not read; nobody can write it."""
    with pytest.raises(ValueError, match=r"EXPLODED|UNKNOWN"):
        await caller("record_outcome", ID, failure=failure)
    assert server.received == []
