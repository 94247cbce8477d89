"""Vowpal Wabbit through the server: its texts are kept, and what it cannot do is said."""

import grpc

from banditd.learner.recovery import replay
from banditd.learner.state import LearnerState
from banditd_proto.v1 import router_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.harness import DIMENSION, batch_request, refused

LINE = "--cb_explore_adf --epsilon 0.1 --noconstant"


async def test_a_trade_off_of_one_request_is_refused(server):
    """Vowpal Wabbit has learnt the router's; the same one may be named, and other presets follow any."""
    own = router_pb2.Objective(usd_weight=2.0)
    await server.add_router(
        "vw", embedding_dimension=DIMENSION, policy=router_pb2.Policy(preset="vowpal_bag"), objective=own
    )
    await server.route(1, router_id="vw")
    await server.route(2, router_id="vw", objective=own)
    await server.route(3, router_id="vw", limits=pb.Limits(cost_usd_max=1.0))
    other = router_pb2.Objective(usd_weight=3.0)
    await server.route(4, objective=other)
    batch = batch_request(2, router_id="vw", objective=other)
    for call in (server.route(4, router_id="vw", objective=other), server.routing.RouteBatch(batch)):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FIXED_OBJECTIVE")


async def test_a_budget_is_refused_and_other_presets_may_have_one(server):
    """Its shadow price could not be followed; neither order of setting them gets past."""
    budget, policy = router_pb2.Budget(amount_usd=1e-3), router_pb2.Policy(preset="vowpal_bag")
    await server.add_router("paced", embedding_dimension=DIMENSION, budget=budget)
    await server.add_router("vw", embedding_dimension=DIMENSION, policy=policy)
    for call in (
        server.add_router("both", embedding_dimension=DIMENSION, policy=policy, budget=budget),
        server.change_router("paced", policy=policy),
        server.change_router("vw", budget=budget),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FIXED_OBJECTIVE")


async def test_texts_are_kept_learnt_by_and_changed(server):
    """They come back as they were set; after outcomes and a change the state is a fold of the log."""
    policy = router_pb2.Policy(preset="vowpal_squarecb", texts={"command_line": LINE, "interactions": "sa sm"})
    await server.add_router("vw", embedding_dimension=DIMENSION, policy=policy)
    for seed in range(20):
        answer = await server.route(seed, router_id="vw")
        await server.record(answer.decision_id, quality=(seed % 5) / 5)
    status = await server.status("vw")
    assert dict(status.policy.texts) == {"command_line": LINE, "interactions": "sa sm"}
    assert status.state_digest == replay(LearnerState(), server.bridge.log).routers["vw"].digest()
    await server.change_router("vw", policy=router_pb2.Policy(preset="vowpal_squarecb"))
    changed = await server.status("vw")
    assert changed.state_digest != status.state_digest
    assert "--gamma_scale" in changed.policy.texts["command_line"]
    assert changed.state_digest == replay(LearnerState(), server.bridge.log).routers["vw"].digest()
