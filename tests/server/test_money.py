"""Prices with all their parts, limits with a reason per model, and models without a price."""

import asyncio
import socket
import urllib.request

import grpc
import msgspec
import pytest

from banditd.config.schema import MetricsConfig
from banditd.domain.records import OutcomeRecord
from banditd_proto.v1 import catalog_service_pb2 as catalog_pb
from banditd_proto.v1 import decision_pb2, model_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.conftest import furnish
from tests.server.harness import batch_request, config_for, context, refused, running

UNPRICED = decision_pb2.EXCLUSION_REASON_PRICE_UNKNOWN


def by_model(answer):
    """Return the candidates of an answer by their model."""
    return {candidate.model_id: candidate for candidate in answer.candidates}


async def test_a_price_comes_back_as_it_was_made(server):
    """With all its parts; a cached price of zero is one, an unset one is none."""
    whole = model_pb2.Price(input_mtok_usd=1.0, output_mtok_usd=2.0, cached_input_mtok_usd=0.0, request_usd=0.125)
    await server.change_model("small", price=whole)
    found = (await server.catalog.GetModel(catalog_pb.GetModelRequest(model_id="small"))).model
    assert found.price == whole
    assert found.price.HasField("cached_input_mtok_usd")
    found = (await server.catalog.GetModel(catalog_pb.GetModelRequest(model_id="large"))).model
    assert not found.price.HasField("cached_input_mtok_usd")


async def test_cached_tokens_and_fees_make_the_cost_and_the_fee_is_not_learnt(server):
    """A new fee is in the next decision's expectation to the cent, and comes out of it as exactly."""
    price = {"input_mtok_usd": 2.0, "output_mtok_usd": 8.0, "cached_input_mtok_usd": 0.5}
    await server.change_model("small", price=model_pb2.Price(**price, request_usd=0.25))
    for _ in range(5):
        answer = await server.route(candidate_model_ids=["small"])
        facts = {"input_token_count": 1000, "cached_input_token_count": 800, "output_token_count": 100}
        await server.record(answer.decision_id, **facts)
        shown = (await server.decision(answer.decision_id)).outcomes[0]
        assert shown.cached_input_token_count == 800
    lessons = [e.record.ruling.lesson for e in server.bridge.log.scan(0) if isinstance(e.record, OutcomeRecord)]
    assert {lesson.cost_usd for lesson in lessons} == {0.25 + 0.0016}
    assert {lesson.fee_usd for lesson in lessons} == {0.25}
    seen = {}
    for fee in (0.25, 0.0, 4.0, 0.25):
        await server.change_model("small", price=model_pb2.Price(**price, request_usd=fee))
        seen.setdefault(fee, set()).add(by_model(await server.route())["small"].expected_cost_usd)
        shown = next(m for m in (await server.status()).models if m.model_id == "small")
        assert shown.cost_count == 5
        assert shown.cost_usd >= fee
    assert [len(values) for values in seen.values()] == [1, 1, 1]
    (with_fee,), (without,), (dear,) = seen.values()
    assert without == pytest.approx(0.0016, rel=0.5)
    assert with_fee - without == pytest.approx(0.25, abs=1e-7)
    assert dear - without == pytest.approx(4.0, abs=1e-6)


async def test_more_cached_tokens_than_were_read_are_refused(server):
    """The message names the field and its bound."""
    answer = await server.route()
    refusal = await refused(server.record(answer.decision_id, input_token_count=5, cached_input_token_count=6))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOKENS_OUT_OF_RANGE")
    assert refusal.message == "outcome.cached_input_token_count: expected 0..5, got 6"
    assert refusal.fields == ["outcome.cached_input_token_count"]


@pytest.mark.parametrize(
    "money",
    [
        {"objective": {"usd_weight": 1e-9}},
        {"limits": pb.Limits(cost_usd_max=1e6)},
        {"limits": pb.Limits(quality_min=0.0)},
    ],
    ids=["a weight", "a limit", "a quality floor"],
)
async def test_a_model_without_a_price_is_not_chosen_where_money_matters(server, money):
    """And the reply says so; where money does not matter it is eligible; a reported cost makes it known."""
    await server.add_model("unpriced", price=None)
    assert by_model(await server.route())["unpriced"].probability > 0.0
    assert by_model(await server.route(**money))["unpriced"].exclusion_reason == UNPRICED
    refusal = await refused(server.route(**money, candidate_model_ids=["unpriced"]))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_ELIGIBLE_MODEL")
    assert refusal.metadata == {"unpriced": "PRICE_UNKNOWN"}
    answer = await server.route(candidate_model_ids=["unpriced"])
    await server.record(answer.decision_id, cost_usd=0.001)
    assert by_model(await server.route(**money))["unpriced"].probability > 0.0


async def test_status_and_metrics_show_models_without_a_price(tmp_path):
    """Per model, and as the count of those that are enabled."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = msgspec.structs.replace(config_for(tmp_path / "data"), metrics=MetricsConfig(listen=f"127.0.0.1:{port}"))

    def read():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10.0) as answer:
            return answer.read().decode()

    async with running(config) as server:
        await furnish(server)
        await server.add_model("off", price=None, state=model_pb2.MODEL_STATE_DISABLED)
        assert "\nbanditd_unpriced_models 0.0\n" in await asyncio.to_thread(read)
        await server.add_model("unpriced", price=None)
        assert "\nbanditd_unpriced_models 1.0\n" in await asyncio.to_thread(read)
        shown = {m.model_id: m.unpriced for m in (await server.status()).models}
        assert shown == {"small": False, "medium": False, "large": False, "off": True, "unpriced": True}


async def test_a_floor_of_quality_chooses_the_cheapest_that_reaches_it(server):
    """The rank is by cost, now and when the decision is looked up."""
    for model_id, guess in (("small", 0.3), ("medium", 0.7), ("large", 0.9)):
        await server.change_model(model_id, quality_guess=guess)
    answer = await server.route(limits=pb.Limits(quality_min=0.6))
    assert [c.model_id for c in answer.candidates] == ["medium", "large", "small"]
    assert answer.propensity > 0.99
    answer = await server.route(limits=pb.Limits(quality_min=0.2))
    assert [c.model_id for c in answer.candidates] == ["small", "medium", "large"]
    assert list((await server.decision(answer.decision_id)).candidates) == list(answer.candidates)
    assert (await server.route()).candidates[0].model_id == "large"
    batch = await server.routing.RouteBatch(batch_request(1, limits=pb.Limits(quality_min=0.6)))
    assert batch.model_ids[batch.model_indices[0]] == "medium"


@pytest.mark.parametrize(
    "limits, tokens, reason",
    [
        (pb.Limits(cost_usd_max=1e-9), None, "COST_LIMIT"),
        (pb.Limits(latency_ms_max=1.0), None, "LATENCY_LIMIT"),
        (pb.Limits(latency_ms_max=2000.0, latency_percentile=95.0), None, "LATENCY_LIMIT"),
        (pb.Limits(quality_min=0.99), None, "QUALITY_FLOOR"),
        (pb.Limits(required_tags=["eu"]), None, "TAG_MISSING"),
        (None, 1_000_001, "CONTEXT_WINDOW"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_nobody_can_meet_is_refused_with_a_reason_per_model(server, limits, tokens, reason):
    """And nothing is logged."""
    await server.route()
    before = await server.status()
    refusal = await refused(server.route(limits=limits, context=context(input_token_count=tokens)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_ELIGIBLE_MODEL")
    assert refusal.metadata == dict.fromkeys(("small", "medium", "large"), reason)
    assert reason in refusal.message
    assert (await server.status()).state_digest == before.state_digest


async def test_an_expectation_within_a_limit_may_have_a_percentile_beyond_it(server):
    """The guess of 2,000 ms is a mean: its median is below, its 95th percentile above."""
    for percentile, served in ((None, True), (50.0, True), (75.0, False), (99.9, False)):
        limits = pb.Limits(latency_ms_max=2050.0, latency_percentile=percentile)
        if served:
            assert (await server.route(limits=limits)).model_id
        else:
            assert (await refused(server.route(limits=limits))).metadata["small"] == "LATENCY_LIMIT"
