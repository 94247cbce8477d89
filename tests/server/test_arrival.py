"""How many qualities arrive: shown per model, kept over restarts, and weighed with on request."""

import numpy as np
import pytest

from banditd.cli.inspect import describe
from banditd.domain.context import Context
from banditd.learner.recovery import replay
from banditd.learner.state import LearnerState
from banditd_proto.v1 import router_admin_service_pb2 as admin_pb
from banditd_proto.v1 import router_pb2
from tests.server.conftest import furnish
from tests.server.harness import FakeClock, config_for, context, embedding, running

WINDOW_MS = 3_600_000


async def live(server, clock, router_id, rounds):
    """Decide; judge every answer of category `a` and one in four of `b`; let the windows close."""
    for i in range(rounds):
        category = "ab"[i % 2]
        answer = await server.route(i, router_id=router_id, context=context(i, category=category))
        if category == "a" or i % 8 == 1:
            await server.record(answer.decision_id, quality=0.9 if category == "a" else 0.1, latency_ms=100.0)
    clock.advance(2 * WINDOW_MS)
    while (await server.status(router_id)).decisions.waiting_count:
        pass  # the server's clock of tending is a real one


@pytest.mark.parametrize("weighting", [0.0, 10.0])
async def test_arrivals_are_shown_and_are_part_of_the_state(tmp_path, weighting):
    """Observed and missing add up to the decisions; a fold of the log and a restart have the same state."""
    clock = FakeClock()
    config = config_for(tmp_path / "data", learner={"snapshot_entries": 1000})
    policy = router_pb2.Policy(preset="constant", parameters={"observation_weighting": weighting})
    async with running(config, clock) as server:
        await furnish(server)
        await server.add_router("r", policy=policy, attribution_window_ms=WINDOW_MS)
        await live(server, clock, "r", 48)
        await live(server, clock, "r", 48)
        status = await server.status("r")
        observed = sum(model.observed_count for model in status.models)
        missing = sum(model.missing_count for model in status.models)
        assert (observed, missing) == (status.decisions.observed_count, status.decisions.expired_count) == (60, 36)
        for model in status.models:
            cases = model.observed_count + model.missing_count
            assert model.observation_probability == pytest.approx((model.observed_count + 1) / (cases + 2))
        assert not any(model.HasField("context_observation_probability") for model in status.models)
        chances = []
        for category in "ab":
            asked = admin_pb.GetPolicyStatusRequest(router_id="r", context=context(1, category=category))
            (told,) = {
                round(m.context_observation_probability, 9)
                for m in (await server.call("GetPolicyStatus", asked)).status.models
                if m.model_id == "small"
            }
            chances.append(told)
            small = server.bridge.snapshot.catalog.get("small")
            prompt = Context(embedding(1).astype(np.float16), category=category)
            known = replay(LearnerState(), server.bridge.log).routers["r"].arrival
            assert told == pytest.approx(known.probability(small.slot, prompt))
        assert chances[0] > chances[1] + 0.2
        assert replay(LearnerState(), server.bridge.log).routers["r"].digest() == status.state_digest
    async with running(config, clock) as server:
        assert (await server.status("r")).state_digest == status.state_digest
    models = describe(tmp_path / "data", verify=True)
    assert models["verified"]
    assert sum(model["missing"] for model in models["routers"]["r"]["models"].values()) == 36
