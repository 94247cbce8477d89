"""Health and newcomers over the wire: reasons, source, status, log lines, metrics."""

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs

from banditd.learner.commands import Tend
from banditd_proto.v1 import decision_pb2, model_pb2, outcome_pb2, router_pb2
from tests.server.harness import FakeClock, config_for, refused, running

UNAVAILABLE = outcome_pb2.FAILURE_UNAVAILABLE
HEALTHY, DOWN, PROBING = (
    model_pb2.MODEL_HEALTH_HEALTHY,
    model_pb2.MODEL_HEALTH_DOWN,
    model_pb2.MODEL_HEALTH_PROBING,
)


async def furnished(server, *models):
    """Add models; failed calls are then reported of one by naming it as the only candidate."""
    for model_id in models:
        await server.add_model(model_id)


async def fail(server, model_id, count=4):
    """Report failed calls of a model."""
    for seed in range(count):
        decided = await server.route(seed, candidate_model_ids=[model_id])
        await server.record(decided.decision_id, failure=UNAVAILABLE)


async def tend(server):
    """Let the writer do what is due."""
    await server.bridge.submit(Tend())


def health(status):
    """Return the health of each model."""
    return {model.model_id: model.health for model in status.models}


async def test_a_model_that_goes_down_is_left_out_and_comes_back(tmp_path):
    """The reply gives the reason, the status the state and until when; a probe that succeeds ends it."""
    clock = FakeClock()
    async with running(config_for(tmp_path), clock) as server:
        await furnished(server, "a", "b")
        with capture_logs() as lines:
            await fail(server, "a")
            status = await server.status()
        assert health(status) == {"a": DOWN, "b": HEALTHY}
        assert status.models[0].health_until_time.ToMilliseconds() == clock.now_ms() + 10_000
        assert [(line["model"], line["health"], line["ms"]) for line in lines if line["event"] == "model.health"] == [
            ("a", "down", 10_000)
        ]
        decided = await server.route()
        assert decided.model_id == "b"
        assert decided.source == decision_pb2.DECISION_SOURCE_POLICY
        reasons = {c.model_id: c.exclusion_reason for c in decided.candidates}
        assert reasons == {"a": decision_pb2.EXCLUSION_REASON_DOWN, "b": 0}
        clock.advance(10_000)
        await tend(server)
        assert health(await server.status())["a"] == PROBING
        probe = await server.route(candidate_model_ids=["a"])
        await server.record(probe.decision_id, latency_ms=9.0)
        assert health(await server.status())["a"] == HEALTHY


async def test_nobody_is_refused_because_everybody_is_down(tmp_path):
    """The source says that they are not well; it is logged so, and learnt from."""
    async with running(config_for(tmp_path)) as server:
        await furnished(server, "a")
        await fail(server, "a")
        decided = await server.route()
        assert decided.source == decision_pb2.DECISION_SOURCE_UNHEALTHY
        assert (decided.model_id, decided.propensity, decided.learnable) == ("a", 1.0, True)
        assert (await server.decision(decided.decision_id)).source == decision_pb2.DECISION_SOURCE_UNHEALTHY
        assert await server.record(decided.decision_id, quality=0.5) == outcome_pb2.OUTCOME_STATUS_APPLIED
        assert health(await server.status())["a"] == HEALTHY


async def test_health_counts_over_all_routers_and_survives_a_restart(tmp_path):
    """Failures of one router's traffic keep another's away from the model."""
    clock = FakeClock()
    async with running(config_for(tmp_path), clock) as server:
        await furnished(server, "a", "b")
        await server.add_router("other", policy=router_pb2.Policy(preset="constant"))
        await fail(server, "a")
        assert (await server.route(router_id="other")).model_id == "b"
    async with running(config_for(tmp_path), clock) as server:
        assert health(await server.status("other")) == {"a": DOWN, "b": HEALTHY}
        assert (await server.route(router_id="other")).model_id == "b"


async def test_a_sibling_is_kept_and_checked(tmp_path):
    """Its name is the catalogue's, and not the model's own."""
    async with running(config_for(tmp_path)) as server:
        await furnished(server, "a")
        assert (await server.add_model("b", sibling_model_id="a")).sibling_model_id == "a"
        assert (await server.change_model("b", sibling_model_id=None)).sibling_model_id == ""
        for wrong in ("nobody", "c", "not a name"):
            refusal = await refused(server.add_model("c", sibling_model_id=wrong))
            assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
            assert refusal.fields == ["model.sibling_model_id"]


async def test_a_new_model_gets_a_bounded_share(tmp_path):
    """Whatever its guess promises, until fifteen qualities are known; the status says that it is new."""
    async with running(config_for(tmp_path)) as server:
        await furnished(server, "a", "b")
        for seed in range(20):
            await server.record((await server.route(seed)).decision_id, quality=0.5)
        await server.add_model("c", quality_guess=1.0)
        status = await server.status()
        assert [model.newcomer for model in status.models] == [False, False, True]
        decided = [await server.route(seed) for seed in range(20)]
        shares = [{c.model_id: c.probability for c in d.candidates}["c"] for d in decided]
        assert max(shares) == pytest.approx(0.2, abs=1e-9)
        assert np.mean(shares) > 0.1
        for seed in range(15):
            only = await server.route(seed, candidate_model_ids=["c"])
            await server.record(only.decision_id, quality=0.9)
        assert not (await server.status()).models[2].newcomer
        decided = await server.route()
        assert {c.model_id: c.probability for c in decided.candidates}["c"] > 0.9


async def test_a_change_is_told(tmp_path):
    """An alarm is in the status, and a log line names model, metric and direction."""
    async with running(config_for(tmp_path)) as server:
        await furnished(server, "a")
        rng = np.random.default_rng(0)
        with capture_logs() as lines:
            for seed in range(70):
                level = 0.9 if seed < 50 else 0.3
                quality = float(np.clip(level + 0.05 * rng.standard_normal(), 0, 1))
                await server.record((await server.route(seed)).decision_id, quality=quality)
            status = await server.status()
        assert status.models[0].quality_alarm_count >= 1
        assert status.models[0].latency_alarm_count == 0
        assert status.models[0].HasField("last_alarm_time")
        told = [line for line in lines if line["event"] == "model.changed"]
        assert told
        assert (told[0]["model"], told[0]["metric"], told[0]["direction"]) == ("a", "quality", "down")
