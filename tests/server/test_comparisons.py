"""RecordComparison: each comparison once, about a decision or a prompt of its own."""

import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from banditd.cli.inspect import describe
from banditd.cli.leaderboard import read_leaderboard
from banditd.cli.main import cli
from banditd.domain.records import ComparisonRecord
from banditd.store.export import export_parquet
from banditd_proto.v1 import comparison_pb2, outcome_pb2, router_pb2
from banditd_proto.v1 import router_admin_service_pb2 as admin_pb
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.conftest import furnish
from tests.server.harness import FakeClock, balanced, config_for, context, refused, running

APPLIED = outcome_pb2.OUTCOME_STATUS_APPLIED
DUPLICATE = outcome_pb2.OUTCOME_STATUS_DUPLICATE
LATE = outcome_pb2.OUTCOME_STATUS_LATE
DAY_MS = 86_400_000


def comparison(**changes):
    """Return a good comparison of a prompt of its own."""
    values = {"model_a_id": "small", "model_b_id": "large", "winner": comparison_pb2.WINNER_A}
    if "decision_id" not in changes:
        values["context"] = context(1)
    return comparison_pb2.Comparison(**(values | changes))


async def compare(server, **changes):
    """Record a comparison; return its status."""
    request = pb.RecordComparisonRequest(comparison=comparison(**changes))
    return (await server.call("RecordComparison", request)).status


async def believed(server, router_id="default"):
    """Return the expected quality of each model."""
    return {model.model_id: model.quality for model in (await server.status(router_id)).models}


def logged(server):
    """Return the comparisons in the log."""
    return [e.record for e in server.bridge.log.scan(0) if isinstance(e.record, ComparisonRecord)]


@pytest.mark.parametrize("preset", ["linucb", "duel"])
async def test_a_comparison_moves_the_belief_about_quality(server, preset):
    """The winner is expected to be better than before and the loser worse; nobody else moves."""
    await server.add_router("r", policy=router_pb2.Policy(preset=preset))
    assert await compare(server, router_id="r") == APPLIED
    after = await believed(server, "r")
    assert after["small"] > 0.5 > after["large"]
    assert (await server.status("r")).comparison_count == 1


async def test_a_comparison_of_a_decision_is_learnt_in_its_context(server):
    """By its id, in its router, and once."""
    decision_id = (await server.route()).decision_id
    assert await compare(server, decision_id=decision_id, winner=comparison_pb2.WINNER_B) == APPLIED
    assert await compare(server, decision_id=decision_id, winner=comparison_pb2.WINNER_B) == DUPLICATE
    after = await believed(server)
    assert after["large"] > after["small"]
    (record,) = logged(server)
    assert record.context is None
    assert record.router_id == "default"


async def test_a_repeated_id_counts_once_and_other_content_is_refused(server):
    """With an id; without one, the content is the id."""
    assert await compare(server, comparison_id="c") == APPLIED
    before = (await server.status()).state_digest
    assert await compare(server, comparison_id="c") == DUPLICATE
    refusal = await refused(compare(server, comparison_id="c", winner=comparison_pb2.WINNER_TIE))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "CONFLICTING_COMPARISON")
    assert await compare(server) == APPLIED
    assert await compare(server) == DUPLICATE
    assert await compare(server, judge="ann") == APPLIED
    assert len(logged(server)) == 3
    assert (await server.status()).state_digest != before
    books = (await server.status()).outcomes
    assert balanced(books)
    assert (books.applied_count, books.duplicate_count, books.rejected_count) == (3, 2, 1)


async def test_a_comparison_survives_a_restart_and_is_still_known(tmp_path):
    """Recovered state is the fold of the log, and a retry after the restart changes nothing."""
    config = config_for(tmp_path)
    async with running(config) as server:
        await furnish(server)
        await server.add_router("r", policy=router_pb2.Policy(preset="duel"))
        for i in range(5):
            assert await compare(server, router_id="r", comparison_id=f"c{i}", judge="ann") == APPLIED
        digest = (await server.status("r")).state_digest
    async with running(config) as server:
        assert (await server.status("r")).state_digest == digest
        assert await compare(server, router_id="r", comparison_id="c0", judge="ann") == DUPLICATE
        assert (await server.status("r")).state_digest == digest
    found = describe(tmp_path, verify=True)
    assert found["verified"]
    assert found["records"]["comparison"] == 5


async def test_a_late_comparison_is_kept_and_not_learnt(tmp_path):
    """The attribution window of the decision holds."""
    clock = FakeClock()
    async with running(config_for(tmp_path), clock=clock) as server:
        await furnish(server)
        decision_id = (await server.route()).decision_id
        clock.advance(DAY_MS + 1)
        assert await compare(server, decision_id=decision_id) == LATE
        assert (await server.status()).comparison_count == 0
        assert len(logged(server)) == 1


BAD = {
    "no subject": ({"context": None}, "COMPARISON_SUBJECT", "comparison"),
    "same model": ({"model_b_id": "small"}, "SELF_COMPARISON", "comparison.model_b_id"),
    "unknown model": ({"model_a_id": "nobody"}, "UNKNOWN_MODEL", "comparison.model_a_id"),
    "no model": ({"model_b_id": ""}, "UNKNOWN_MODEL", "comparison.model_b_id"),
    "no winner": ({"winner": 0}, "UNKNOWN_WINNER", "comparison.winner"),
    "winner of tomorrow": ({"winner": 99}, "UNKNOWN_WINNER", "comparison.winner"),
    "shown tomorrow": ({"shown_first": 9}, "OUT_OF_RANGE", "comparison.shown_first"),
    "too strong": ({"strength": 1.5}, "STRENGTH_OUT_OF_RANGE", "comparison.strength"),
    "strength of nan": ({"strength": float("nan")}, "STRENGTH_OUT_OF_RANGE", "comparison.strength"),
    "strength of a tie": ({"strength": 0.5, "winner": 3}, "STRENGTH_OUT_OF_RANGE", "comparison.strength"),
    "long judge": ({"judge": "j" * 129}, "OUT_OF_RANGE", "comparison.judge"),
    "bad id": ({"comparison_id": "a b"}, "BAD_COMPARISON_ID", "comparison.comparison_id"),
    "other dimension": ({"context": context(1, 5)}, "WRONG_DIMENSION", "comparison.context.embedding_float32"),
    "forged decision": ({"decision_id": "0" * 32}, "INVALID_DECISION_ID", "comparison.decision_id"),
}


@pytest.mark.parametrize("case", sorted(BAD))
async def test_a_bad_comparison_is_refused_with_its_field(server, case):
    """Nothing is stored, nothing is learnt, and the books balance."""
    changes, reason, field = BAD[case]
    await server.route()
    before = (await server.status()).state_digest
    refusal = await refused(compare(server, **changes))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == reason
    assert refusal.fields == [field]
    assert refusal.message.startswith(field)
    status = await server.status()
    assert status.state_digest == before
    assert balanced(status.outcomes)
    assert status.outcomes.rejected_count == 1
    assert not logged(server)


async def test_a_comparison_needs_candidates_of_its_decision_and_its_router(server):
    """What was not offered cannot have been compared."""
    decision_id = (await server.route(candidate_model_ids=["small"])).decision_id
    refusal = await refused(compare(server, decision_id=decision_id))
    assert (refusal.reason, refusal.fields) == ("UNKNOWN_MODEL", ["comparison.model_b_id"])
    await server.add_router("other")
    decision_id = (await server.route()).decision_id
    refusal = await refused(compare(server, decision_id=decision_id, router_id="other"))
    assert (refusal.reason, refusal.fields) == ("COMPARISON_SUBJECT", ["comparison.router_id"])
    refusal = await refused(compare(server, router_id="nowhere"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "ROUTER_NOT_FOUND")


async def test_the_first_comparison_fixes_the_dimension(server):
    """As the first prompt does."""
    assert await compare(server) == APPLIED
    assert (await server.status()).embedding_dimension == 8


async def test_comparisons_are_exported(tmp_path):
    """One row each, with names."""
    async with running(config_for(tmp_path)) as server:
        await furnish(server)
        await compare(server, judge="ann", strength=0.5, shown_first=comparison_pb2.SHOWN_FIRST_B)
    assert export_parquet(tmp_path, tmp_path / "out", None)[2] == 1
    (row,) = pq.read_table(tmp_path / "out" / "comparisons.parquet").to_pylist()
    assert (row["model_a"], row["model_b"], row["winner"]) == ("small", "large", "A")
    assert (row["judge"], row["strength"], row["shown_first"], row["status"]) == ("ann", 0.5, "B", "APPLIED")


async def test_the_leaderboard_ranks_by_comparisons_and_scores(server):
    """Per category, with intervals and judges; all prompts where none is named."""
    for i in range(30):
        code = context(i, category="code")
        await compare(server, context=code, judge=f"j{i % 6}", comparison_id=f"a{i}")
        prose = context(i, category="prose")
        await compare(server, context=prose, winner=comparison_pb2.WINNER_B, judge="ann", comparison_id=f"b{i}")
    decision_id = (await server.route(candidate_model_ids=["medium"])).decision_id
    await server.record(decision_id, quality=0.75)

    async def board(**request):
        return (await server.admin.GetLeaderboard(admin_pb.GetLeaderboardRequest(**request))).leaderboard

    code, prose, everything = await board(category="code"), await board(category="prose"), await board()
    assert [s.model_id for s in code.standings][:2] == ["small", "large"]
    assert [s.model_id for s in prose.standings][:2] == ["large", "small"]
    assert everything.comparison_count == 60
    assert list(everything.categories) == ["code", "prose"]
    first = code.standings[0]
    assert first.rating.low < first.rating.value < first.rating.high
    assert (first.won_count, first.lost_count) == (30, 0)
    (medium,) = [s for s in everything.standings if s.model_id == "medium"]
    assert not medium.HasField("rating")
    assert (medium.score.value, medium.score_count) == (0.75, 1)
    assert {judge.judge for judge in code.judges} == {f"j{k}" for k in range(6)}
    narrow = await board(category="code", confidence=0.5)
    assert narrow.standings[0].rating.high < first.rating.high
    refusal = await refused(board(confidence=1.5))
    assert (refusal.reason, refusal.fields) == ("OUT_OF_RANGE", ["confidence"])
    assert (await refused(board(router_id="nowhere"))).reason == "ROUTER_NOT_FOUND"


async def test_the_command_line_shows_the_same_leaderboard(tmp_path):
    """From the data directory."""
    async with running(config_for(tmp_path)) as server:
        await furnish(server)
        for i in range(5):
            await compare(server, comparison_id=f"c{i}")
    found = read_leaderboard(tmp_path, "default", "", 0.9)
    assert [row["model"] for row in found["standings"]][:2] == ["small", "large"]
    shown = CliRunner().invoke(cli, ["leaderboard", "--data", str(tmp_path)])
    assert shown.exit_code == 0
    assert "small" in shown.output


async def test_a_pair_is_drawn_with_its_joint_propensity(server):
    """Two distinct models; the propensities are those that the decision has, and the comparison is learnt from it."""
    route = await server.route(compare=True)
    assert route.rival_model_id
    assert route.rival_model_id != route.model_id
    given = {c.model_id: c.rival_probability for c in route.candidates}
    assert given[route.model_id] == 0.0
    assert abs(sum(given.values()) - 1.0) < 1e-12
    assert min(p for name, p in given.items() if name != route.model_id) > 0.0
    assert route.pair_propensity == pytest.approx(route.propensity * given[route.rival_model_id])
    decision = await server.decision(route.decision_id)
    assert (decision.rival_model_id, decision.pair_propensity) == (route.rival_model_id, route.pair_propensity)
    pair = {"model_a_id": route.model_id, "model_b_id": route.rival_model_id}
    assert await compare(server, decision_id=route.decision_id, **pair) == APPLIED
    assert not (await server.route()).rival_model_id
    refusal = await refused(server.route(compare=True, candidate_model_ids=["small"]))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_ELIGIBLE_PAIR")


async def test_a_batch_of_pairs_is_that_of_single_calls(server):
    """A rival for each row, with the propensities that its decision has; none where nobody asked."""
    rows = np.random.default_rng(1).normal(size=(5, 16)).astype("<f4")
    request = pb.RouteBatchRequest(embeddings_float32=rows.tobytes(), row_count=5, request_id="b", compare=True)
    batch = await server.call("RouteBatch", request)
    given = np.array(batch.rival_probabilities).reshape(5, 3)
    np.testing.assert_allclose(given.sum(axis=1), 1.0)
    for row in range(5):
        first, rival = batch.model_indices[row], batch.rival_indices[row]
        assert first != rival
        assert given[row, first] == 0.0
        decision = await server.decision(batch.decision_ids[16 * row : 16 * row + 16].hex())
        assert decision.rival_model_id == batch.model_ids[rival]
        assert decision.pair_propensity == batch.propensities[row] * given[row, rival]
    assert await server.call("RouteBatch", request) == batch
    plain = await server.call("RouteBatch", pb.RouteBatchRequest(embeddings_float32=rows.tobytes(), row_count=5))
    assert not plain.rival_indices
    assert not plain.rival_probabilities


async def test_a_pair_is_answered_again_and_survives_a_restart(tmp_path):
    """The same request gets the same pair."""
    config = config_for(tmp_path)
    async with running(config) as server:
        await furnish(server)
        first = await server.route(compare=True, request_id="p")
        assert await server.route(compare=True, request_id="p") == first
        assert (await refused(server.route(request_id="p"))).reason == "REQUEST_ID_REUSED"
    async with running(config) as server:
        assert await server.route(compare=True, request_id="p") == first
