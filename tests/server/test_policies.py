"""Shadows, promotions and reported decisions over the wire, through the client."""

import json

import grpc
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from banditd.cli.main import cli
from banditd.cli.policies import read_policies
from banditd.learner.commands import Tend
from banditd_client import AsyncClient, Policy, PromotionRule, Verdict
from banditd_proto.v1 import router_admin_service_pb2 as admin_pb
from banditd_proto.v1 import router_pb2, routing_service_pb2
from tests.server.harness import FakeClock, config_for, context, embedding, refused, running

GREEDY = {"greedy": Policy("epsilon_greedy")}
BAD, GOOD = "bad", "good"
RULE = PromotionRule(automatic=True, effective_sample_count_min=20.0)


async def furnish(server, client, shadows=GREEDY, **router):
    """Add two models and give the default router its shadows."""
    for model_id in (BAD, GOOD):
        await server.add_model(model_id)
    await client.update_router("default", shadows=shadows, **router)


async def live_for(client, count):
    """Decide, and report the good model as good and the bad one as bad."""
    for seed in range(count):
        route = await client.route(embedding(seed))
        await client.record_outcome(route.decision_id, quality=float(route.model == GOOD), latency_ms=100.0)


async def report(client, count, **more):
    """Report the decisions of a caller who tosses a coin, with what came of them."""
    for seed in range(count):
        model = (BAD, GOOD)[seed % 2]
        decision_id = await client.report_decision(embedding(seed), model, {BAD: 0.5, GOOD: 0.5}, **more)
        await client.record_outcome(decision_id, quality=float(model == GOOD))


async def listed(client):
    """Return a router's policies by name."""
    return {policy.name: policy async for policy in client.list_policies()}


async def test_a_shadow_is_listed_promoted_and_rolled_back(tmp_path):
    """The client sees who decides and how shadows compare; both changes stand in the router and outlive a restart."""
    config = config_for(tmp_path)
    async with running(config) as server, AsyncClient(server.address) as client:
        await furnish(server, client)
        await live_for(client, 20)
        policies = await listed(client)
        assert list(policies) == ["first", "greedy"]
        assert policies["first"].deciding
        assert policies["first"].evaluation is None
        evaluation = policies["greedy"].evaluation
        assert evaluation.decision_count == 20
        assert evaluation.utility_difference_low < evaluation.utility_difference < evaluation.utility_difference_high
        assert policies["greedy"].verdict is Verdict.NOT_BETTER
        router = await client.promote_policy("greedy", reason="ann: a try")
        assert router.policy == Policy("epsilon_greedy")
        assert router.policy_name == "greedy"
        assert list(router.shadows) == ["first"]
        assert (await listed(client))["first"].former
        digest = (await client.policy_status()).state_digest
    async with running(config) as server, AsyncClient(server.address) as client:
        assert (await client.policy_status()).state_digest == digest
        router = await client.rollback_policy(reason="ann: no good")
        assert router.policy_name == "first"
        assert list(router.shadows) == ["greedy"]
        with pytest.raises(Exception, match="no former policy"):
            await client.rollback_policy()


async def test_policies_that_look_at_prompts_are_tried_beside_one_that_does_not(tmp_path):
    """Each encodes in its own way from the first prompt on, which tells how long embeddings are."""
    config = config_for(tmp_path)
    shadows = {"line": Policy("linucb"), "curve": Policy("nonlinear"), "group": Policy("category")}
    async with running(config) as server, AsyncClient(server.address) as client:
        await furnish(server, client, policy=Policy("constant"), shadows=shadows)
        await live_for(client, 20)
        policies = await listed(client)
        assert [policies[name].evaluation.decision_count for name in shadows] == [20, 20, 20]
        assert (await client.promote_policy("curve", reason="ann: a try")).policy == Policy("nonlinear")
        await live_for(client, 5)
        assert (await listed(client))["first"].evaluation.decision_count == 5
        digest = (await client.policy_status()).state_digest
    async with running(config) as server, AsyncClient(server.address) as client:
        assert (await client.policy_status()).state_digest == digest


async def test_the_command_line_shows_the_same_policies(tmp_path):
    """As a table and as JSON."""
    async with running(config_for(tmp_path)) as server, AsyncClient(server.address) as client:
        await furnish(server, client)
        await live_for(client, 10)
        evaluation = (await listed(client))["greedy"].evaluation
    found = read_policies(tmp_path, "default")
    assert [policy["name"] for policy in found] == ["first", "greedy"]
    assert found[1]["verdict"] == "NOT_BETTER"
    assert found[1]["evaluation"]["low"] == evaluation.utility_difference_low
    shown = CliRunner().invoke(cli, ["policies", "--data", str(tmp_path)])
    assert shown.exit_code == 0
    assert "decides" in shown.output
    assert "not better" in shown.output
    assert json.loads(CliRunner().invoke(cli, ["policies", "--data", str(tmp_path), "--json"]).output) == found
    assert CliRunner().invoke(cli, ["policies", "--data", str(tmp_path), "--router", "gone"]).exit_code == 1


async def test_the_rule_promotes_by_itself(tmp_path):
    """A router that draws evenly has a shadow that learns; a turn of the writer lets it decide, and a line says so."""
    clock = FakeClock()
    async with running(config_for(tmp_path), clock) as server, AsyncClient(server.address) as client:
        blind = {"blind": Policy("constant")}
        await furnish(server, client, shadows=blind, policy=Policy("uniform"), promotion=RULE)
        with capture_logs() as lines:
            await live_for(client, 150)
            await server.bridge.submit(Tend())
            policies = await listed(client)
        assert policies["blind"].deciding
        assert policies["blind"].promotion_time is not None
        assert policies["first"].former
        assert [line["cause"] for line in lines if line["event"] == "policy.promoted"] == ["rule"]


async def test_an_apprentice_says_what_it_would_have_gained(tmp_path):
    """A caller tosses a coin; the router's policy, which has never decided, would have done better by nearly a half."""
    async with running(config_for(tmp_path)) as server, AsyncClient(server.address) as client:
        await furnish(server, client)
        await report(client, 120)
        policies = await listed(client)
        evaluation = policies["first"].evaluation
        assert evaluation.decision_count == 120
        assert evaluation.deciding_utility == pytest.approx(0.5, abs=0.1)
        assert evaluation.utility == pytest.approx(1.0, abs=0.15)
        assert evaluation.utility_difference_low > 0.0
        assert policies["greedy"].evaluation.decision_count == 0
        status = await server.status()
        assert status.decisions.observed_count == 120
        assert [model.quality_count for model in status.models] == [60, 60]


async def test_a_reported_decision_is_recorded_once(tmp_path):
    """The same request again has the same id; the decision shows the caller's propensity and source."""
    async with running(config_for(tmp_path)) as server, AsyncClient(server.address) as client:
        await furnish(server, client)
        ids = [
            await client.report_decision(embedding(1), GOOD, {BAD: 0.25, GOOD: 0.75}, request_id="r-1")
            for _ in range(2)
        ]
        assert ids[0] == ids[1]
        decision = await client.get_decision(ids[0])
        assert decision.model == GOOD
        assert decision.propensity == 0.75
        assert decision.source == "CALLER"


def _named(name, preset, **parameters):
    return router_pb2.NamedPolicy(name=name, policy=router_pb2.Policy(preset=preset, parameters=parameters))


@pytest.mark.parametrize(
    "fields, code, reason",
    [
        ({"shadows": [_named("a", "linucb"), _named("a", "uniform")]}, "INVALID_ARGUMENT", "DUPLICATE_POLICY"),
        ({"shadows": [_named("first", "linucb")]}, "INVALID_ARGUMENT", "DUPLICATE_POLICY"),
        ({"shadows": [_named("", "linucb")]}, "INVALID_ARGUMENT", "BAD_NAME"),
        ({"shadows": [_named("a", "nosuch")]}, "INVALID_ARGUMENT", "UNKNOWN_POLICY"),
        ({"shadows": [_named("a", "linucb", alpha=-1.0)]}, "INVALID_ARGUMENT", "BAD_POLICY_PARAMETER"),
        ({"shadows": [_named(f"s{i}", "linucb") for i in range(9)]}, "INVALID_ARGUMENT", "TOO_MANY_SHADOWS"),
        ({"promotion": {"utility_margin": -0.1}}, "INVALID_ARGUMENT", "OUT_OF_RANGE"),
        ({"promotion": {"cost_share_max": float("nan")}}, "INVALID_ARGUMENT", "NOT_FINITE"),
        ({"promotion": {"rollback_window_ms": 1}}, "INVALID_ARGUMENT", "OUT_OF_RANGE"),
    ],
)
async def test_bad_settings_are_refused(tmp_path, fields, code, reason):
    """Each with a status and a reason; nothing changes."""
    async with running(config_for(tmp_path)) as server:
        refusal = await refused(server.change_router("default", **fields))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode[code], reason)


@pytest.mark.parametrize(
    "name, code, reason",
    [
        ("nobody", "NOT_FOUND", "POLICY_NOT_FOUND"),
        ("first", "FAILED_PRECONDITION", "POLICY_DECIDES"),
        ("no name", "INVALID_ARGUMENT", "BAD_NAME"),
    ],
)
async def test_only_a_shadow_can_be_promoted(tmp_path, name, code, reason):
    """Neither what is not there nor what decides already."""
    async with running(config_for(tmp_path)) as server:
        refusal = await refused(server.admin.PromotePolicy(admin_pb.PromotePolicyRequest(name=name)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode[code], reason)


@pytest.mark.parametrize(
    "model, propensities, reason",
    [
        (GOOD, {GOOD: 0.5}, "BAD_PROPENSITIES"),
        (GOOD, {GOOD: 0.0, BAD: 1.0}, "BAD_PROPENSITIES"),
        (GOOD, {GOOD: 1.5, BAD: -0.5}, "BAD_PROPENSITIES"),
        ("else", {GOOD: 0.5, BAD: 0.5}, "BAD_PROPENSITIES"),
        (GOOD, {GOOD: 0.5, "else": 0.5}, "UNKNOWN_MODEL"),
        (GOOD, {}, "TOO_MANY_CANDIDATES"),
    ],
)
async def test_bad_propensities_are_refused(tmp_path, model, propensities, reason):
    """What cannot have been drawn from is no evidence."""
    async with running(config_for(tmp_path)) as server, AsyncClient(server.address) as client:
        await furnish(server, client)
        request = routing_service_pb2.ReportDecisionRequest(
            context=context(),
            model_id=model,
            propensities=[
                routing_service_pb2.ModelPropensity(model_id=model_id, propensity=propensity)
                for model_id, propensity in propensities.items()
            ],
        )
        refusal = await refused(server.routing.ReportDecision(request))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_the_members_of_a_portfolio_are_shown_with_what_they_count(server):
    """By their presets; they sum to 1; other policies have none."""
    texts = {"members": "constant linucb knn"}
    await server.add_router("p", policy=router_pb2.Policy(preset="portfolio", texts=texts))
    for i in range(6):
        answer = await server.route(i, router_id="p")
        await server.record(answer.decision_id, quality=i / 6)
    members = (await server.status("p")).portfolio_members
    assert [member.preset for member in members] == ["constant", "linucb", "knn"]
    for name in ("mix_weight", "priced_mix_weight"):
        assert sum(getattr(member, name) for member in members) == pytest.approx(1.0)
    assert members[0].mix_weight > members[1].mix_weight
    await server.route()
    assert not (await server.status("default")).portfolio_members
