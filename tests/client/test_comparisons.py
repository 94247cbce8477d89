"""Comparisons, pairs and the leaderboard: what is sent, and what comes back."""

import struct

import pytest

from banditd_client import Comparison, OutcomeStatus, Winner
from banditd_proto.v1 import comparison_pb2, context_pb2, leaderboard_pb2, outcome_pb2
from banditd_proto.v1 import router_admin_service_pb2 as admin_pb
from banditd_proto.v1 import routing_service_pb2 as pb

ID = "00112233445566778899aabbccddeeff"


async def test_a_comparison_carries_what_was_given(server, caller):
    """Of a prompt of its own: the context goes with it."""
    server.play("RecordComparison", pb.RecordComparisonResponse(status=outcome_pb2.OUTCOME_STATUS_APPLIED))
    said = Comparison("a", "b", Winner.B, judge="ann", strength=0.5, first="b", comparison_id="c1")
    status = await caller("record_comparison", said, embedding=[1.0, 2.0], router="r", input_tokens=7, category="code")
    assert status is OutcomeStatus.APPLIED
    assert server.requests("RecordComparison") == [
        pb.RecordComparisonRequest(
            comparison=comparison_pb2.Comparison(
                context=context_pb2.Context(
                    embedding_float32=struct.pack("<2f", 1.0, 2.0), input_token_count=7, category="code"
                ),
                router_id="r",
                comparison_id="c1",
                model_a_id="a",
                model_b_id="b",
                winner="WINNER_B",
                judge="ann",
                strength=0.5,
                shown_first="SHOWN_FIRST_B",
            )
        )
    ]


async def test_a_comparison_of_a_decision_has_an_id_of_its_own(server, caller):
    """Made before the first try, so that a retry counts once; the decision brings the context."""
    await caller("record_comparison", Comparison("a", "b", Winner.TIE), decision_id=ID)
    (request,) = server.requests("RecordComparison")
    assert len(request.comparison.comparison_id) == 32
    assert request.comparison.decision_id == ID
    assert not request.comparison.HasField("context")
    assert not request.comparison.HasField("strength")


async def test_what_cannot_be_meant_is_not_sent(server, caller):
    """A model that was shown first is one of the two; a decision has its own embedding."""
    with pytest.raises(ValueError, match="first"):
        await caller("record_comparison", Comparison("a", "b", Winner.A, first="c"), decision_id=ID)
    with pytest.raises(ValueError, match="embedding"):
        await caller("record_comparison", Comparison("a", "b", Winner.A), decision_id=ID, embedding=[1.0])
    assert not server.requests("RecordComparison")


async def test_a_pair_is_asked_for_and_read(server, caller):
    """With the probability of the pair; None where nobody asked."""
    server.play("Route", pb.RouteResponse(decision_id=ID, model_id="a", rival_model_id="b", pair_propensity=0.25))
    route = await caller("route", [1.0, 2.0], compare=True)
    assert (route.rival, route.pair_propensity) == ("b", 0.25)
    assert server.requests("Route")[0].compare


async def test_the_leaderboard_is_read(server, caller):
    """Missing ratings are None."""
    board = leaderboard_pb2.Leaderboard(
        router_id="r",
        standings=[
            leaderboard_pb2.Standing(model_id="a", rating={"value": 1010, "low": 1000, "high": 1020}, won_count=3),
            leaderboard_pb2.Standing(model_id="b"),
        ],
        judges=[leaderboard_pb2.JudgeStanding(judge="ann", vote_count=3, honest_probability=0.9)],
    )
    server.play("GetLeaderboard", admin_pb.GetLeaderboardResponse(leaderboard=board))
    found = await caller("leaderboard", "r", category="code", confidence=0.8)
    assert (found.standings[0].model, found.standings[0].rating.low) == ("a", 1000)
    assert found.standings[1].rating is None
    assert found.judges[0].judge == "ann"
    (request,) = server.requests("GetLeaderboard")
    assert (request.router_id, request.category, request.confidence) == ("r", "code", 0.8)
