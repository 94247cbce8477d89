"""Routing: what is sent, what comes back, and what stands in for it."""
# ruff: noqa: ASYNC109 (a parameter of the test)

import asyncio
import math
import struct
from datetime import UTC, datetime

import grpc
import numpy as np
import pytest

from banditd_client import (
    Candidate,
    DeadlineExceeded,
    Decision,
    DecisionSource,
    ExclusionReason,
    Failure,
    Internal,
    InvalidArgument,
    Limits,
    Objective,
    Outcome,
    Resolution,
    Route,
    Unavailable,
)
from banditd_proto.v1 import decision_pb2, outcome_pb2, routing_service_pb2

from .fakes import HANG, UNAVAILABLE, Refusal

WHEN = datetime(2026, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
ID = "00112233445566778899aabbccddeeff"
CANDIDATES = [
    decision_pb2.Candidate(model_id="b", probability=0.7, expected_quality=0.9, expected_cost_usd=1e-7),
    decision_pb2.Candidate(model_id="c", probability=0.2, expected_quality=0.0, expected_latency_ms=12.5),
    decision_pb2.Candidate(model_id="a", probability=0.1),
    decision_pb2.Candidate(model_id="d", exclusion_reason="EXCLUSION_REASON_COST_LIMIT"),
]
RESPONSE = routing_service_pb2.RouteResponse(
    decision_id=ID,
    model_id="b",
    propensity=0.7,
    candidates=CANDIDATES,
    policy_version=41,
    source="DECISION_SOURCE_POLICY",
    learnable=True,
    create_time=WHEN,
)
RANKED = (
    Candidate("b", 0.7, expected_quality=0.9, expected_cost_usd=1e-7),
    Candidate("c", 0.2, expected_quality=0.0, expected_latency_ms=12.5),
    Candidate("a", 0.1),
    Candidate("d", 0.0, exclusion_reason=ExclusionReason.COST_LIMIT),
)


def batch_response(**changes):
    """Return the answer for two prompts and three models."""
    columns = {
        "model_ids": ["a", "b", "c"],
        "decision_ids": bytes(range(32)),
        "model_indices": [1, 2],
        "propensities": [0.5, 1.0],
        "probabilities": [0.2, 0.5, 0.3, 0.0, 0.0, 1.0],
        "expected_qualities": [0.25, 0.5, math.nan, 0.75, 0.5, 1.0],
        "expected_costs_usd": [math.nan] * 6,
        "expected_latencies_ms": [1, 2, 3, 4, 5, 6],
        "ranked_model_indices": bytes([1, 2, 0, 2, 1, 0]),
        "exclusion_reasons": [
            *["EXCLUSION_REASON_UNSPECIFIED"] * 3,
            "EXCLUSION_REASON_DISABLED",
            "EXCLUSION_REASON_COST_LIMIT",
            "EXCLUSION_REASON_UNSPECIFIED",
        ],
        "policy_version": 9,
        "create_time": WHEN,
    }
    return routing_service_pb2.RouteBatchResponse(**(columns | changes))


async def test_a_route_is_a_plain_value(server, caller):
    """Everything that the server says, in names of this language."""
    server.play("Route", RESPONSE)
    assert await caller("route", [1.0, 2.0]) == Route(
        decision_id=ID,
        model="b",
        propensity=0.7,
        candidates=RANKED,
        policy_version=41,
        source=DecisionSource.POLICY,
        learnable=True,
        create_time=WHEN,
    )


async def test_fallbacks_are_the_other_eligible_models_in_order(server, caller):
    """The caller's fallback order needs no second question."""
    server.play("Route", RESPONSE)
    assert (await caller("route", [1.0, 2.0])).fallbacks == ("c", "a")


async def test_a_request_carries_what_was_given(server, caller):
    """Each keyword has its field."""
    await caller(
        "route",
        np.array([1.0, -2.5]),
        router="chat",
        request_id="mine",
        input_tokens=0,
        category="code",
        session="s1",
        embedding_model="mini",
        candidates=("a", "b"),
        limits=Limits(
            cost_usd_max=0.0, latency_ms_max=900, quality_min=0.5, required_tags=["eu"], latency_percentile=95.0
        ),
        objective=Objective(usd_weight=100.0),
    )
    expected = routing_service_pb2.RouteRequest(
        router_id="chat", request_id="mine", candidate_model_ids=["a", "b"], objective={"usd_weight": 100.0}
    )
    expected.context.embedding_float32 = struct.pack("<2f", 1.0, -2.5)
    expected.context.input_token_count = 0
    expected.context.category = "code"
    expected.context.session_id = "s1"
    expected.context.embedding_model = "mini"
    expected.limits.cost_usd_max = 0.0
    expected.limits.latency_ms_max = 900
    expected.limits.latency_percentile = 95.0
    expected.limits.quality_min = 0.5
    expected.limits.required_tags.append("eu")
    assert server.requests("Route") == [expected]


async def test_what_was_not_given_is_not_sent(server, caller):
    """Unset differs from zero: an unknown length is not an empty prompt."""
    await caller("route", None)
    (request,) = server.requests("Route")
    assert len(request.request_id) == 32
    request.request_id = ""
    assert request == routing_service_pb2.RouteRequest(context={})


async def test_every_route_has_a_request_id_of_its_own(server, caller):
    """Two prompts alike are two decisions."""
    await asyncio.gather(*(caller("route", [1.0]) for _ in range(5)))
    assert len({request.request_id for request in server.requests("Route")}) == 5


async def test_a_lone_string_is_not_a_list_of_candidates(caller):
    """It would fall into letters."""
    with pytest.raises(TypeError, match="candidates: expected several names, got one str"):
        await caller("route", [1.0], candidates="gpt")


@pytest.mark.parametrize("steps, timeout", [([UNAVAILABLE] * 50, 5.0), ([HANG], 0.05)], ids=["unavailable", "slow"])
async def test_the_fallback_model_stands_in_for_a_router_out_of_reach(server, connect, steps, timeout):
    """Marked, without a decision, without a probability, never learnt from."""
    server.play("Route", *steps)
    route = await connect(fallback_model="gpt-x")("route", [1.0], timeout=timeout)
    assert route == Route("", "gpt-x", None, (), 0, DecisionSource.CLIENT_FALLBACK, learnable=False)
    assert route.fallbacks == ()


async def test_the_fallback_model_stands_in_where_nobody_listens(connect):
    """No server at all."""
    caller = connect("127.0.0.1:1", fallback_model="gpt-x")
    assert (await caller("route", [1.0], timeout=0.2)).model == "gpt-x"
    batch = await caller("route_batch", [[1.0], [2.0]], timeout=0.2)
    assert batch.models == ["gpt-x", "gpt-x"]


async def test_without_a_fallback_model_errors_are_raised(server, connect):
    """Nothing is made up."""
    server.play("Route", *[UNAVAILABLE] * 50)
    with pytest.raises(Unavailable):
        await connect()("route", [1.0])
    with pytest.raises((Unavailable, DeadlineExceeded)):
        await connect("127.0.0.1:1")("route", [1.0], timeout=0.2)


async def test_the_fallback_model_does_not_hide_an_answer(server, connect):
    """A router that refuses was reached."""
    server.play("Route", Refusal(grpc.StatusCode.INVALID_ARGUMENT, "m", "WRONG_DIMENSION"))
    with pytest.raises(InvalidArgument):
        await connect(fallback_model="gpt-x")("route", [1.0])


async def test_a_fallback_model_that_the_caller_cannot_use_does_not_stand_in(server, connect):
    """Candidates are what the caller can use."""
    server.play("Route", *[UNAVAILABLE] * 50)
    caller = connect(fallback_model="gpt-x")
    with pytest.raises(Unavailable):
        await caller("route", [1.0], candidates=["a", "b"])
    assert (await caller("route", [1.0], candidates=["a", "gpt-x"])).model == "gpt-x"


async def test_a_batch_request_carries_columns(server, caller):
    """Rows packed one after another, unknown lengths as -1."""
    server.play("RouteBatch", batch_response())
    await caller(
        "route_batch",
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        router="chat",
        request_id="mine",
        input_tokens=[7, None],
        categories=["x", "y"],
        sessions=["", "s"],
        embedding_model="mini",
        candidates=["a", "b", "c"],
        limits=Limits(quality_min=0.5),
        objective=Objective(second_weight=0.1),
    )
    assert server.requests("RouteBatch") == [
        routing_service_pb2.RouteBatchRequest(
            router_id="chat",
            request_id="mine",
            embeddings_float32=struct.pack("<4f", 1.0, 2.0, 3.0, 4.0),
            row_count=2,
            embedding_model="mini",
            input_token_counts=[7, -1],
            categories=["x", "y"],
            session_ids=["", "s"],
            candidate_model_ids=["a", "b", "c"],
            limits={"quality_min": 0.5},
            objective={"second_weight": 0.1},
        )
    ]


async def test_a_batch_is_columns_and_rows(server, caller):
    """Matrices to compute with, rows to read."""
    server.play("RouteBatch", batch_response())
    batch = await caller("route_batch", [[1.0], [2.0]])
    assert batch.models == ["b", "c"]
    assert batch.decision_ids == (bytes(range(16)).hex(), bytes(range(16, 32)).hex())
    assert np.asarray(batch.probabilities).tolist() == [[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]]
    assert batch.expected_latencies_ms[1, 2] == 6.0
    assert list(batch.propensities) == [0.5, 1.0]
    assert [route.model for route in batch] == ["b", "c"]
    assert batch[-1] == batch[1]
    assert batch[0] == Route(
        decision_id=bytes(range(16)).hex(),
        model="b",
        propensity=0.5,
        candidates=(
            Candidate("b", 0.5, 0.5, None, 2.0),
            Candidate("c", 0.3, None, None, 3.0),
            Candidate("a", 0.2, 0.25, None, 1.0),
        ),
        policy_version=9,
        source=DecisionSource.POLICY,
        learnable=True,
        create_time=WHEN,
    )


async def test_pairs_of_a_batch_come_with_their_propensity(server, caller):
    """A row without a rival has neither."""
    server.play(
        "RouteBatch", batch_response(rival_indices=[0, -1], rival_probabilities=[0.75, 0.0, 0.25, 0.0, 0.0, 0.0])
    )
    batch = await caller("route_batch", [[1.0], [2.0]], compare=True)
    assert server.requests("RouteBatch")[0].compare
    assert (batch[0].rival, batch[0].pair_propensity) == ("a", 0.5 * 0.75)
    assert {c.model: c.rival_probability for c in batch[0].candidates} == {"a": 0.75, "b": 0.0, "c": 0.25}
    assert (batch[1].rival, batch[1].pair_propensity) == ("", None)


async def test_the_excluded_models_of_a_row_stand_last(server, caller):
    """With their reasons, after who is eligible, if only with probability 0 and less expected of it."""
    ranked = bytes([1, 0, 2, 2, 1, 0])
    reasons = [0, 0, 0, decision_pb2.EXCLUSION_REASON_DISABLED, 0, 0]
    server.play("RouteBatch", batch_response(exclusion_reasons=reasons, ranked_model_indices=ranked))
    route = (await caller("route_batch", [[1.0], [2.0]]))[1]
    assert route.fallbacks == ("b",)
    assert [(c.model, c.exclusion_reason) for c in route.candidates] == [
        ("c", None),
        ("b", None),
        ("a", ExclusionReason.DISABLED),
    ]


async def test_the_chosen_model_of_a_row_stands_first(server, caller):
    """Also if another was likelier, and then the others as the server ranked them: what was drawn is what is called."""
    server.play("RouteBatch", batch_response(model_indices=[0, 2], ranked_model_indices=bytes([0, 2, 1, 2, 1, 0])))
    route = (await caller("route_batch", [[1.0], [2.0]]))[0]
    assert [candidate.model for candidate in route.candidates] == ["a", "c", "b"]
    assert route.fallbacks == ("c", "b")


async def test_rows_say_who_decided(server, caller):
    """The server's fallback is marked row by row."""
    server.play("RouteBatch", batch_response(sources=[1, 2], exclusion_reasons=[]))
    first, second = await caller("route_batch", [[1.0], [2.0]])
    assert (first.source, first.learnable) == (DecisionSource.POLICY, True)
    assert (second.source, second.learnable) == (DecisionSource.FALLBACK, False)


async def test_a_batch_ends(server, caller):
    """Rows beyond the last are an IndexError, as for any sequence."""
    server.play("RouteBatch", batch_response())
    batch = await caller("route_batch", [[1.0], [2.0]])
    for row in (2, -3):
        with pytest.raises(IndexError):
            batch[row]


@pytest.mark.parametrize(
    "column, values",
    [
        ("decision_ids", bytes(31)),
        ("propensities", [1.0]),
        ("probabilities", [1.0] * 5),
        ("expected_qualities", []),
        ("exclusion_reasons", [0]),
        ("sources", [1]),
        ("model_indices", [1, 3]),
        ("ranked_model_indices", bytes([0, 1, 2])),
        ("ranked_model_indices", bytes([0, 1, 2, 0, 1, 3])),
    ],
)
async def test_columns_that_do_not_fit_are_refused(server, caller, column, values):
    """A row must not be read from another one's values."""
    server.play("RouteBatch", batch_response(**{column: values}))
    with pytest.raises(Internal) as caught:
        await caller("route_batch", [[1.0], [2.0]])
    assert caught.value.reason == "MALFORMED_RESPONSE"
    assert column in caught.value.message


async def test_a_batch_falls_back_row_by_row(server, connect):
    """As route does; no probability is claimed."""
    server.play("RouteBatch", *[UNAVAILABLE] * 50)
    batch = await connect(fallback_model="gpt-x")("route_batch", [[1.0], [2.0]])
    expected = Route("", "gpt-x", None, (), 0, DecisionSource.CLIENT_FALLBACK, learnable=False)
    assert list(batch) == [expected, expected]
    assert np.isnan(np.asarray(batch.propensities)).all()


async def test_a_decision_comes_with_its_outcomes(server, caller):
    """What was logged, and what was recorded of it so far."""
    decision = decision_pb2.Decision(
        decision_id=ID,
        router_id="default",
        request_id="r",
        create_time=WHEN,
        model_id="b",
        propensity=0.7,
        candidates=CANDIDATES,
        policy_version=41,
        policy="linucb",
        source="DECISION_SOURCE_POLICY",
        learnable=True,
        resolution="RESOLUTION_CENSORED",
        outcomes=[outcome_pb2.Outcome(decision_id=ID, outcome_id="o", quality=0.0, failure="FAILURE_REFUSAL")],
    )
    server.play("GetDecision", routing_service_pb2.GetDecisionResponse(decision=decision))
    assert await caller("get_decision", ID) == Decision(
        decision_id=ID,
        router="default",
        request_id="r",
        create_time=WHEN,
        model="b",
        propensity=0.7,
        candidates=RANKED,
        policy_version=41,
        policy="linucb",
        source=DecisionSource.POLICY,
        learnable=True,
        resolution=Resolution.CENSORED,
        outcomes=(Outcome(ID, "o", quality=0.0, failure=Failure.REFUSAL),),
    )
    assert server.requests("GetDecision")[0].decision_id == ID


async def test_values_of_a_newer_server_are_unknown(server, caller):
    """An enum may grow; an old client goes on."""
    response = routing_service_pb2.RouteResponse(source=99, candidates=[{"model_id": "a", "exclusion_reason": 99}])
    server.play("Route", response)
    route = await caller("route", [1.0])
    assert route.source is DecisionSource.UNKNOWN
    assert route.candidates[0].exclusion_reason is ExclusionReason.UNKNOWN
