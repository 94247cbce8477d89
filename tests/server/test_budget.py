"""Budgets through the API: kept, hard where they say so, carried over a restart."""

import grpc
import pytest

from banditd_proto.v1 import decision_pb2, router_pb2
from banditd_proto.v1 import router_admin_service_pb2 as pb
from tests.server.harness import DIMENSION, config_for, context, refused, running


async def with_budget(server, **budget):
    """Create a router with a budget."""
    await server.add_router("paid", embedding_dimension=DIMENSION, budget=router_pb2.Budget(**budget))


async def test_a_budget_is_a_setting(server):
    """It comes back, changes by mask, and goes away."""
    await with_budget(server, amount_usd=2.5, window=router_pb2.BUDGET_WINDOW_DAY, hard=True)
    got = (await server.admin.GetRouter(pb.GetRouterRequest(router_id="paid"))).router
    assert (got.budget.amount_usd, got.budget.window, got.budget.hard) == (2.5, router_pb2.BUDGET_WINDOW_DAY, True)
    assert got.exploration_share == 0.02
    request = pb.UpdateRouterRequest(router=router_pb2.Router(router_id="paid"))
    request.update_mask.paths.append("budget")
    assert not (await server.admin.UpdateRouter(request)).router.HasField("budget")
    assert not (await server.status("paid")).HasField("budget")


@pytest.mark.parametrize(
    "budget, field",
    [
        ({"amount_usd": 0.0}, "router.budget.amount_usd"),
        ({"amount_usd": -1.0}, "router.budget.amount_usd"),
        ({"amount_usd": float("nan")}, "router.budget.amount_usd"),
        ({"amount_usd": float("inf")}, "router.budget.amount_usd"),
        ({"amount_usd": 1.0, "window": 9}, "router.budget.window"),
    ],
    ids=str,
)
async def test_bad_budgets_are_refused(server, budget, field):
    """With the field."""
    refusal = await refused(with_budget(server, **budget))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [field]


async def test_an_unknown_price_is_not_eligible_under_a_budget(server):
    """And the reply says why."""
    await server.add_model("mystery", price=None)
    await with_budget(server, amount_usd=1.0)
    answer = await server.route(router_id="paid")
    reasons = {c.model_id: c.exclusion_reason for c in answer.candidates}
    assert reasons["mystery"] == decision_pb2.EXCLUSION_REASON_PRICE_UNKNOWN
    assert reasons["small"] == decision_pb2.EXCLUSION_REASON_UNSPECIFIED


async def test_a_hard_budget_is_never_exceeded(server):
    """One by one and in batches: dear models go first, then all of them, and the sum stays below."""
    await with_budget(server, amount_usd=0.05, window=router_pb2.BUDGET_WINDOW_MONTH, hard=True)
    spent, codes = 0.0, set()
    for turn in range(400):
        try:
            answer = await server.route(router_id="paid", context=context(turn))
        except grpc.aio.AioRpcError as error:
            codes.add(error.code())
            break
        chosen = next(c for c in answer.candidates if c.model_id == answer.model_id)
        spent += chosen.expected_cost_usd
        codes |= {c.exclusion_reason for c in answer.candidates}
    assert decision_pb2.EXCLUSION_REASON_BUDGET in codes
    assert spent <= 0.05
    status = await server.status("paid")
    assert status.budget.spent_usd == pytest.approx(spent, rel=1e-4)
    assert status.budget.window_end_time.seconds > 0


async def test_what_nobody_can_pay_is_refused_with_reasons(server):
    """FAILED_PRECONDITION, a reason per model."""
    await with_budget(server, amount_usd=1e-9, window=router_pb2.BUDGET_WINDOW_HOUR, hard=True)
    refusal = await refused(server.route(router_id="paid"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_ELIGIBLE_MODEL")
    assert set(refusal.metadata.values()) == {"BUDGET"}


async def test_a_soft_budget_brings_the_cheap_model_and_says_the_price(server):
    """With nothing to spend the cheapest is served; the decision tells what a dollar was worth."""
    await with_budget(server, amount_usd=1e-9)
    answers = [await server.route(router_id="paid", context=context(turn)) for turn in range(40)]
    assert [a.model_id for a in answers[20:]].count("small") >= 19
    decision = await server.decision(answers[-1].decision_id)
    assert decision.usd_weight > 1.0
    assert (await server.status("paid")).budget.shadow_usd_weight > 1.0


async def test_a_request_that_says_what_a_dollar_is_worth_is_not_paced(server):
    """Its spend counts all the same."""
    await with_budget(server, amount_usd=1e-9)
    answer = await server.route(router_id="paid", objective=router_pb2.Objective(usd_weight=0.25))
    assert (await server.decision(answer.decision_id)).usd_weight == 0.25
    assert (await server.status("paid")).budget.spent_usd > 1e-9


async def test_such_a_request_may_explore_for_no_more_than_others(server):
    """The cheap model is known to be good; were a dollar worth nothing, optimism alone would try the dear ones."""
    await with_budget(server, amount_usd=1e-9)
    for turn in range(40):
        answer = await server.route(router_id="paid", context=context(turn))
        await server.record(answer.decision_id, quality=0.9)
    nothing = router_pb2.Objective(usd_weight=0.0)
    free = [await server.route(router_id="paid", context=context(turn), objective=nothing) for turn in range(40)]
    assert [a.model_id for a in free].count("small") >= 39


async def test_real_costs_take_the_place_of_expected_ones(server):
    """What was reported is what was spent."""
    await with_budget(server, amount_usd=1.0, window=router_pb2.BUDGET_WINDOW_MONTH)
    answer = await server.route(router_id="paid")
    await server.record(answer.decision_id, cost_usd=0.125)
    assert (await server.status("paid")).budget.spent_usd == pytest.approx(0.125)


async def test_a_budget_survives_a_restart(tmp_path):
    """Spent money stays spent."""
    config = config_for(tmp_path / "data")
    async with running(config) as server:
        await server.add_model("m", price=(1.0, 1.0))
        await server.add_model("n", price=(2.0, 2.0))
        await with_budget(server, amount_usd=1.0, window=router_pb2.BUDGET_WINDOW_MONTH, hard=True)
        for turn in range(20):
            await server.route(router_id="paid", context=context(turn))
        before = await server.status("paid")
    async with running(config) as server:
        after = await server.status("paid")
    assert before.budget.spent_usd > 0.0
    assert after.budget == before.budget
    assert after.state_digest == before.state_digest


async def test_the_support_of_each_model_is_reported(server):
    """The sum of its probabilities, and the least of them."""
    answers = [await server.route(context=context(turn)) for turn in range(30)]
    sums = {}
    for answer in answers:
        for candidate in answer.candidates:
            sums.setdefault(candidate.model_id, []).append(candidate.probability)
    for model in (await server.status()).models:
        assert model.probability_sum == pytest.approx(sum(sums[model.model_id]))
        assert model.probability_min == min(sums[model.model_id])
