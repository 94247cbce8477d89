"""Route: what it answers, what it remembers, and what it does when it cannot decide."""

import asyncio
from unittest import mock

import grpc
import numpy as np
import pytest

from banditd.domain.decision import Decision
from banditd.learner.writer import REQUEST_MEMORY_MS
from banditd.policies.beliefs.linear_snapshot import LinearSnapshot
from banditd_proto.v1 import decision_pb2, model_pb2, outcome_pb2, router_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.conftest import furnish
from tests.server.harness import (
    DIMENSION,
    FakeClock,
    config_for,
    context,
    embedding,
    refused,
    route_request,
    running,
)

ELIGIBLE = decision_pb2.EXCLUSION_REASON_UNSPECIFIED


def by_model(answer):
    """Return the candidates of an answer by their model."""
    return {candidate.model_id: candidate for candidate in answer.candidates}


# --- idempotence -----------------------------------------------------------------------------------------------------


async def test_a_repeated_request_returns_the_first_decision(server):
    """The whole answer is the same, byte for byte, and nothing more is logged."""
    first = await server.route(request_id="r-1")
    await server.record(first.decision_id, quality=1.0)
    before = await server.status()
    again = await server.route(request_id="r-1")
    assert again == first
    assert (await server.status()).state_digest == before.state_digest


async def test_a_repeated_request_returns_the_first_decision_after_a_restart(tmp_path):
    """What was remembered is on disk."""
    config = config_for(tmp_path / "data")
    async with running(config) as server:
        await furnish(server)
        first = await server.route(request_id="r-1")
    async with running(config) as server:
        assert await server.route(request_id="r-1") == first
        refusal = await refused(server.route(seed=1, request_id="r-1"))
        assert refusal.reason == "REQUEST_ID_REUSED"
        assert (await server.status()).decisions.decision_count == 1


async def test_a_request_id_with_other_content_is_refused(server):
    """Whatever the difference is: embedding, limits, or the kind of request."""
    await server.route(request_id="r-1")
    before = await server.status()
    for call in (
        server.route(seed=1, request_id="r-1"),
        server.route(request_id="r-1", limits=pb.Limits(cost_usd_max=1.0)),
        server.route(request_id="r-1", candidate_model_ids=["small"]),
        server.routing.RouteBatch(
            pb.RouteBatchRequest(request_id="r-1", row_count=1, embeddings_float32=embedding().tobytes())
        ),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert (await server.status()).state_digest == before.state_digest


async def test_a_request_id_belongs_to_its_router(server):
    """Two routers may be asked under one id."""
    await server.add_router("other", embedding_dimension=DIMENSION)
    first = await server.route(request_id="r-1")
    second = await server.route(request_id="r-1", router_id="other")
    assert first.decision_id != second.decision_id


async def test_duplicates_in_flight_make_one_decision(server):
    """Also where the very first prompt has yet to fix the dimension."""
    answers = await asyncio.gather(*(server.route(request_id="r-1") for _ in range(50)))
    assert all(answer == answers[0] for answer in answers)
    assert (await server.status()).decisions.decision_count == 1


async def test_requests_without_an_id_are_each_a_decision(server):
    """Nothing is guessed from equal content."""
    answers = await asyncio.gather(*(server.route() for _ in range(20)))
    assert len({answer.decision_id for answer in answers}) == 20


async def test_a_request_is_remembered_although_its_model_is_gone(server):
    """The first answer stands; what happened since is no reason for another one."""
    first = await server.route(request_id="r-1", candidate_model_ids=["small", "large"])
    for model_id in ("small", "large"):
        await server.delete_model(model_id)
    assert await server.route(request_id="r-1", candidate_model_ids=["small", "large"]) == first


async def test_a_request_is_remembered_for_24_hours(tmp_path):
    """Afterwards the id is free again."""
    clock = FakeClock()
    async with running(config_for(tmp_path / "data"), clock) as server:
        await furnish(server)
        first = await server.route(request_id="r-1")
        clock.advance(REQUEST_MEMORY_MS)
        assert await server.route(request_id="r-1") == first
        clock.advance(1)
        assert (await server.route(seed=1, request_id="r-1")).decision_id != first.decision_id


# --- the answer ------------------------------------------------------------------------------------------------------


async def test_the_propensity_is_the_one_that_drew_and_the_one_that_is_kept(server):
    """P4: returned, stored and shown are the same number; the probabilities sum to one and keep the floor."""
    await server.change_router("default", policy=router_pb2.Policy(preset="lin_thompson", parameters={"floor": 0.1}))
    for seed in range(80):
        answer = await server.route(seed)
        candidates = by_model(answer)
        assert candidates[answer.model_id].probability == answer.propensity
        assert abs(sum(c.probability for c in answer.candidates) - 1.0) < 1e-9
        assert min(c.probability for c in answer.candidates) >= 0.1 / 3 - 1e-12
        shown = await server.decision(answer.decision_id)
        assert shown.propensity == answer.propensity
        assert shown.model_id == answer.model_id
        assert list(shown.candidates) == list(answer.candidates)
        position = int(answer.decision_id[:12], 16)
        stored = server.bridge.log.get(position).record
        assert isinstance(stored, Decision)
        assert stored.choice.propensity == answer.propensity
        assert np.array_equal(stored.context.embedding, embedding(seed).astype(np.float16))
        await server.record(answer.decision_id, quality=float(seed % 2), latency_ms=100.0 + seed)


async def test_both_forms_of_an_embedding_mean_the_same(server):
    """The probabilities are equal to the last bit."""
    fast = await server.route(3)
    easy = await server.routing.Route(route_request(context={"embedding": embedding(3).tolist()}))
    assert {k: c.probability for k, c in by_model(fast).items()} == {
        k: c.probability for k, c in by_model(easy).items()
    }


async def test_candidates_come_in_rank_order(server):
    """The chosen one first, then the eligible ones by utility, then the excluded ones with their reasons."""
    await server.add_model("unpriced", price=None)
    await server.add_model("disabled", state=model_pb2.MODEL_STATE_DISABLED)
    for seed in range(30):
        answer = await server.route(seed)
        await server.record(
            answer.decision_id, quality=0.2 + 0.3 * ["small", "medium", "large", "unpriced"].index(answer.model_id) / 3
        )
    answer = await server.route(objective=router_pb2.Objective(usd_weight=1.0, second_weight=0.001))
    eligible = [c for c in answer.candidates if c.exclusion_reason == ELIGIBLE]
    excluded = answer.candidates[len(eligible) :]
    assert answer.candidates[0].model_id == answer.model_id
    utilities = [c.expected_quality - c.expected_cost_usd - 0.001e-3 * c.expected_latency_ms for c in eligible]
    assert utilities[1:] == sorted(utilities[1:], reverse=True)
    assert {c.model_id: c.exclusion_reason for c in excluded} == {
        "unpriced": decision_pb2.EXCLUSION_REASON_PRICE_UNKNOWN,
        "disabled": decision_pb2.EXCLUSION_REASON_DISABLED,
    }
    assert all(c.probability == 0.0 for c in excluded)


async def test_only_the_named_candidates_are_considered(server):
    """One candidate is drawn with certainty, and it can be learnt from."""
    answer = await server.route(candidate_model_ids=["large"])
    assert [c.model_id for c in answer.candidates] == ["large"]
    assert answer.propensity == 1.0
    assert answer.learnable
    both = await server.route(candidate_model_ids=["large", "small"])
    assert {c.model_id for c in both.candidates} == {"large", "small"}


async def test_a_model_without_a_price_has_no_cost_rather_than_none(server):
    """It can be chosen while money does not matter, and not where it does."""
    await server.add_model("unpriced", price=None)
    candidate = by_model(await server.route())["unpriced"]
    assert candidate.exclusion_reason == ELIGIBLE
    assert candidate.probability > 0.0
    assert not candidate.HasField("expected_cost_usd")
    for money in ({"limits": pb.Limits(cost_usd_max=100.0)}, {"objective": router_pb2.Objective(usd_weight=0.1)}):
        candidate = by_model(await server.route(**money))["unpriced"]
        assert candidate.exclusion_reason == decision_pb2.EXCLUSION_REASON_PRICE_UNKNOWN
        assert candidate.probability == 0.0


async def test_a_price_change_acts_on_the_next_decision(server):
    """What was learnt are ratios to the price: ten times the price is ten times the expected cost."""
    for seed in range(10):
        answer = await server.route(seed, candidate_model_ids=["small"])
        await server.record(answer.decision_id, input_token_count=100, output_token_count=200 + seed)
    before = by_model(await server.route())["small"].expected_cost_usd
    await server.change_model("small", price=model_pb2.Price(input_mtok_usd=1.0, output_mtok_usd=4.0))
    after = by_model(await server.route())["small"].expected_cost_usd
    assert after == pytest.approx(10.0 * before, rel=1e-6)


async def test_a_disabled_model_is_gone_with_the_next_decision_and_comes_back(server):
    """Its past is kept."""
    await server.change_model("small", state=model_pb2.MODEL_STATE_DISABLED)
    candidate = by_model(await server.route())["small"]
    assert candidate.exclusion_reason == decision_pb2.EXCLUSION_REASON_DISABLED
    assert candidate.probability == 0.0
    await server.change_model("small", state=model_pb2.MODEL_STATE_ENABLED)
    assert by_model(await server.route())["small"].probability > 0.0


async def test_a_deleted_model_is_gone_with_the_next_decision(server):
    """And cannot be named any more."""
    await server.route()
    await server.delete_model("small")
    assert "small" not in by_model(await server.route())
    assert (await refused(server.route(candidate_model_ids=["small"]))).reason == "UNKNOWN_MODEL"


async def test_limits_exclude_by_expectation(server):
    """Each limit with its reason; the tightest limit leaves the cheapest model."""
    costs = {k: c.expected_cost_usd for k, c in by_model(await server.route()).items()}
    answer = await server.route(limits=pb.Limits(cost_usd_max=(costs["small"] + costs["medium"]) / 2))
    assert answer.model_id == "small"
    assert answer.propensity == 1.0
    assert by_model(answer)["large"].exclusion_reason == decision_pb2.EXCLUSION_REASON_COST_LIMIT
    await server.change_model("large", tags=["eu"], latency_ms_guess=50.0, quality_guess=0.9)
    tagged = await server.route(limits=pb.Limits(required_tags=["eu"]))
    assert tagged.model_id == "large"
    assert by_model(tagged)["small"].exclusion_reason == decision_pb2.EXCLUSION_REASON_TAG_MISSING
    fast = await server.route(limits=pb.Limits(latency_ms_max=500.0))
    assert fast.model_id == "large"
    assert by_model(fast)["small"].exclusion_reason == decision_pb2.EXCLUSION_REASON_LATENCY_LIMIT
    good = await server.route(limits=pb.Limits(quality_min=0.8))
    assert good.model_id == "large"
    assert by_model(good)["small"].exclusion_reason == decision_pb2.EXCLUSION_REASON_QUALITY_FLOOR
    await server.change_model("small", context_window_token_count=1000)
    long = await server.route(context=context(input_token_count=1001))
    assert by_model(long)["small"].exclusion_reason == decision_pb2.EXCLUSION_REASON_CONTEXT_WINDOW
    assert by_model(await server.route(context=context(input_token_count=1000)))["small"].probability > 0.0


async def test_nobody_eligible_is_told_with_a_reason_per_model(server):
    """And nothing is logged as a decision."""
    await server.route()
    await server.change_model("small", state=model_pb2.MODEL_STATE_DISABLED)
    await server.change_model("medium", price=None)
    before = await server.status()
    refusal = await refused(server.route(limits=pb.Limits(cost_usd_max=1e-9)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_ELIGIBLE_MODEL")
    assert refusal.metadata == {"small": "DISABLED", "medium": "PRICE_UNKNOWN", "large": "COST_LIMIT"}
    assert (await server.status()).state_digest == before.state_digest


async def test_a_server_without_models_says_so(tmp_path):
    """The very first thing that somebody sees who has forgotten them."""
    async with running(config_for(tmp_path / "data")) as server:
        refusal = await refused(server.route())
        assert refusal.reason == "NO_ELIGIBLE_MODEL"
        assert "offers no model" in refusal.message
        await server.add_model("only")
        assert (await server.route()).model_id == "only"


# --- when the policy breaks ------------------------------------------------------------------------------------------


def spoil(value: float):
    """Return what a broken belief expects: qualities of which no distribution can be made."""
    sound = LinearSnapshot.predict

    def predict(self, row, category=""):
        prediction = sound(self, row, category)
        prediction.values[0] = value
        return prediction

    return predict


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
async def test_a_broken_policy_serves_the_fallback_and_never_learns_from_it(tmp_path, value):
    """The caller gets an answer, marked as what it is."""
    with mock.patch.object(LinearSnapshot, "predict", spoil(value)):
        async with running(config_for(tmp_path / "data")) as server:
            await furnish(server)
            await server.change_router("default", fallback_model_id="medium")
            answer = await server.route()
            assert (answer.model_id, answer.propensity) == ("medium", 1.0)
            assert answer.source == decision_pb2.DECISION_SOURCE_FALLBACK
            assert not answer.learnable
            status = await server.record(answer.decision_id, quality=1.0, latency_ms=5.0, cost_usd=0.1)
            assert status == outcome_pb2.OUTCOME_STATUS_NOT_LEARNED
            shown = await server.decision(answer.decision_id)
            assert shown.resolution == decision_pb2.RESOLUTION_CENSORED
            assert len(shown.outcomes) == 1
            after = await server.status()
            assert sum(m.quality_count + m.cost_count + m.latency_count for m in after.models) == 0
            assert after.decisions.censored_count == 1
            # Where the fallback itself is excluded, the first eligible model is served.
            assert (await server.route(candidate_model_ids=["large"])).model_id == "large"
            await server.change_model("medium", state=model_pb2.MODEL_STATE_DISABLED)
            assert (await server.route()).model_id == "small"


# --- callers that do not wait ----------------------------------------------------------------------------------------


async def test_a_caller_that_gave_up_gets_the_same_decision_when_it_asks_again(server, blocked_writer):
    """What was queued is neither lost nor made twice."""
    await server.route()
    release = await blocked_writer(server)
    refusal = await refused(server.routing.Route(route_request(1, request_id="r-1"), timeout=0.2))
    assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
    retry = asyncio.ensure_future(server.route(1, request_id="r-1"))
    await asyncio.sleep(0.05)
    assert not retry.done()
    release()
    first = await retry
    assert await server.route(1, request_id="r-1") == first
    assert (await server.status()).decisions.decision_count == 2


async def test_an_outcome_whose_caller_gave_up_is_applied_once(server, blocked_writer):
    """The retry learns that it is a duplicate."""
    answer = await server.route()
    release = await blocked_writer(server)
    request = pb.RecordOutcomeRequest(outcome=outcome_pb2.Outcome(decision_id=answer.decision_id, quality=1.0))
    refusal = await refused(server.routing.RecordOutcome(request, timeout=0.2))
    assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
    release()
    assert (await server.routing.RecordOutcome(request)).status == outcome_pb2.OUTCOME_STATUS_DUPLICATE
    books = (await server.status()).outcomes
    assert (books.received_count, books.applied_count, books.duplicate_count, books.waiting_count) == (2, 1, 1, 0)
