"""A decision can be made again from its record: the same probabilities to the last bit, and the same model."""

import asyncio

import numpy as np

from banditd.domain.decision import NO_SLOT, Decision
from banditd.domain.ids import issue_decision_id, parse_decision_id
from banditd.learner.state import LearnerState
from banditd.policies.registry import PRESETS
from banditd.routing.choose import Terms, choose
from banditd_proto.v1 import model_pb2, router_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.harness import DIMENSION, batch_request, context

LIMITS = {
    0: pb.Limits(cost_usd_max=1.0),
    1: pb.Limits(quality_min=0.01),
    2: pb.Limits(latency_ms_max=1e6, latency_percentile=99.0),
}


async def live(server, router_id, seeds):
    """Decide and learn, concurrently, with changing limits, trade-offs and candidates."""

    async def one(seed):
        answer = await server.route(
            seed,
            router_id=router_id,
            context=context(
                seed,
                session_id=f"s{seed % 4}" if seed % 2 else "",
                **({"input_token_count": 10 * seed} if seed % 3 else {}),
            ),
            candidate_model_ids=["large", "small"] if seed % 4 == 0 else [],
            limits=LIMITS.get(seed % 5),
            objective=router_pb2.Objective(usd_weight=float(seed))
            if seed % 6 == 0 and not router_id.startswith("vowpal")  # they refuse one
            else None,
        )
        await server.record(answer.decision_id, quality=(seed % 4) / 4, latency_ms=10.0 + seed, output_token_count=seed)

    await asyncio.gather(*(one(seed) for seed in seeds))


def slots_of(snapshot):
    """Return a router's slots."""
    return snapshot.slots.tolist()


async def test_every_logged_decision_can_be_made_again(server):
    """Folding the log up to a decision's policy version gives the snapshot that made it: for every preset."""
    for preset in PRESETS:
        await server.add_router(
            preset, embedding_dimension=DIMENSION, policy=router_pb2.Policy(preset=preset), switch_usd=0.001
        )
    whole = model_pb2.Price(input_mtok_usd=10.0, output_mtok_usd=40.0, cached_input_mtok_usd=1.0, request_usd=0.002)
    await server.change_model("large", price=whole)
    for preset in PRESETS:
        await live(server, preset, range(12))
        columns = {"input_token_counts": [1, -1, 900], "session_ids": ["s1", "", "s3"]}
        await server.routing.RouteBatch(batch_request(3, router_id=preset, **columns))
    await server.change_model("small", price=model_pb2.Price(input_mtok_usd=7.0, output_mtok_usd=9.0))
    await server.add_model("late", price=None)
    await server.delete_model("medium")
    await server.change_router("linucb", policy=router_pb2.Policy(preset="linucb", parameters={"alpha": 0.5}))
    for preset in PRESETS:
        await live(server, preset, range(12, 20))

    state, snapshots, decisions, switched = LearnerState(), {}, 0, 0
    for entry in server.bridge.log.scan(0):
        record = entry.record
        if isinstance(record, Decision):
            decisions += 1
            snapshot = snapshots[record.router_id, record.policy_version]
            where = slots_of(snapshot)
            candidates = np.array([where.index(slot) for slot in record.slots], np.int64)
            terms = Terms(record.objective, record.limits, candidates)
            parsed = parse_decision_id(server.bridge.secret, record.decision_id.hex())
            assert parsed.position == entry.position
            issued, uniform = issue_decision_id(server.bridge.secret, entry.position, parsed.epoch)
            assert (issued, uniform) == (record.decision_id, record.uniform)
            again = choose(snapshot, record.context, terms, uniform, record.previous_slot)
            assert record.previous_slot == NO_SLOT or record.context.session
            switched += record.previous_slot not in {NO_SLOT, record.slot}
            assert again.pmf.tobytes() == record.choice.pmf.tobytes()
            assert again.expected.tobytes() == record.choice.expected.tobytes()
            assert again.exclusions.tobytes() == record.choice.exclusions.tobytes()
            assert (again.index, again.source) == (record.choice.index, record.choice.source)
            assert record.policy == snapshot.policy.preset
        state.apply(entry, server.bridge.log)
        for router_id, snapshot in state.publish().routers.items():
            snapshots.setdefault((router_id, snapshot.version), snapshot)
    assert decisions == len(PRESETS) * 23
    assert switched > 0
    for preset in PRESETS:
        assert (await server.status(preset)).state_digest == state.routers[preset].digest()
