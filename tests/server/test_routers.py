"""RouterAdminService: routers come, change and go; what they have learnt can be looked at and taken back."""

import asyncio

import grpc
import pytest

from banditd.learner.commands import TakeSnapshot
from banditd.learner.recovery import replay
from banditd.learner.state import LearnerState
from banditd_proto.v1 import outcome_pb2, router_pb2
from banditd_proto.v1 import router_admin_service_pb2 as pb
from tests.server.conftest import furnish
from tests.server.harness import DIMENSION, config_for, context, refused, running


async def teach(server, seeds, router_id="", **facts):
    """Make decisions and record a quality for each that depends on the prompt and the model."""
    for seed in seeds:
        answer = await server.route(seed, router_id=router_id)
        quality = (seed % 7) / 7 if answer.model_id == "small" else (seed % 3) / 3
        await server.record(answer.decision_id, **({"quality": quality, "latency_ms": 50.0 + seed} | facts))


async def snapshots(server, router_id=""):
    """Return the stored snapshots of a router."""
    return list((await server.admin.ListSnapshots(pb.ListSnapshotsRequest(router_id=router_id))).snapshots)


def folded_digest(server, router_id="default"):
    """Return the digest of a fold of the whole log from nothing."""
    return replay(LearnerState(), server.bridge.log).routers[router_id].digest()


def beliefs(status):
    """Return what is believed of the models, without the counts that no snapshot takes back."""
    return [
        (m.model_id, m.quality_count, m.cost_count, m.latency_count, m.quality, m.quality_deviation, m.latency_ms)
        for m in status.models
    ]


# --- settings --------------------------------------------------------------------------------------------------------


async def test_a_router_is_returned_as_it_was_made(server):
    """What was left out has the server's settings."""
    made = await server.add_router(
        "Team_1.x-y",
        embedding_dimension=16,
        embedding_model="e5",
        model_ids=["large", "small"],
        policy=router_pb2.Policy(preset="softmax", parameters={"temperature": 0.5}),
        objective=router_pb2.Objective(usd_weight=2.0),
        fallback_model_id="small",
        attribution_window_ms=5000,
        default_quality=0.0,
        quality_guess=0.7,
    )
    found = (await server.admin.GetRouter(pb.GetRouterRequest(router_id="Team_1.x-y"))).router
    assert found == made
    assert found.HasField("default_quality")
    assert dict(found.policy.parameters) == {"temperature": 0.5}
    plain = await server.add_router("plain")
    assert plain.policy.preset
    assert plain.attribution_window_ms == 86_400_000
    assert not plain.HasField("default_quality")


async def test_the_default_router_exists_and_stays(server):
    """An empty name means it."""
    assert (await server.admin.GetRouter(pb.GetRouterRequest())).router.router_id == "default"
    refusal = await refused(server.admin.DeleteRouter(pb.DeleteRouterRequest(router_id="default")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DEFAULT_ROUTER")


async def test_making_the_same_router_again_changes_nothing(server):
    """Safe to repeat; other content is a conflict."""
    first = await server.add_router("r", embedding_dimension=16)
    assert await server.add_router("r", embedding_dimension=16) == first
    refusal = await refused(server.add_router("r", embedding_dimension=17))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ROUTER_EXISTS")


async def test_routers_are_listed_in_order_of_creation_in_pages(server):
    """Each once."""
    for name in ("z", "a", "m"):
        await server.add_router(name)
    names, token = [], ""
    while True:
        page = await server.admin.ListRouters(pb.ListRoutersRequest(page_size=2, page_token=token))
        names += [r.router_id for r in page.routers]
        token = page.next_page_token
        if not token:
            break
    assert names == ["default", "z", "a", "m"]


async def test_an_update_changes_what_its_mask_names_and_nothing_else(server):
    """A field that is named and unset goes back to the server's setting."""
    await server.add_router(
        "r", embedding_model="e5", default_quality=0.5, objective=router_pb2.Objective(usd_weight=2.0)
    )
    request = pb.UpdateRouterRequest(router=router_pb2.Router(router_id="r", embedding_model="e6", quality_guess=0.9))
    request.update_mask.paths.extend(["embedding_model", "default_quality", "objective"])
    changed = (await server.admin.UpdateRouter(request)).router
    assert changed.embedding_model == "e6"
    assert not changed.HasField("default_quality")
    assert changed.objective.usd_weight == 0.0
    assert changed.quality_guess == 0.5


async def test_a_router_offers_its_own_models(server):
    """In the catalogue's order; others cannot be named."""
    await server.add_router("r", model_ids=["large", "small"], embedding_dimension=DIMENSION)
    answer = await server.route(router_id="r")
    assert {c.model_id for c in answer.candidates} == {"large", "small"}
    assert (await refused(server.route(router_id="r", candidate_model_ids=["medium"]))).reason == "UNKNOWN_MODEL"


# --- the dimension ---------------------------------------------------------------------------------------------------


async def test_the_first_prompt_fixes_the_dimension(server):
    """For this router; another prompt of another length is refused then."""
    assert (await server.status()).embedding_dimension == 0
    await server.route()
    assert (await server.status()).embedding_dimension == DIMENSION
    refusal = await refused(server.route(context=context(dimension=DIMENSION + 1)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "WRONG_DIMENSION")
    await server.add_router("other")
    await server.route(router_id="other", context=context(dimension=DIMENSION + 1))


async def test_of_first_prompts_of_several_dimensions_one_wins(server):
    """The others are refused as they would be a moment later."""
    sizes = [4, 5, 6, 7] * 5
    answers = await asyncio.gather(*(server.route(context=context(dimension=n)) for n in sizes), return_exceptions=True)
    won = {n for n, a in zip(sizes, answers, strict=True) if not isinstance(a, grpc.aio.AioRpcError)}
    assert len(won) == 1
    status = await server.status()
    assert won == {status.embedding_dimension}
    assert status.decisions.decision_count == 5
    for answer in answers:
        if isinstance(answer, grpc.aio.AioRpcError):
            assert (await refused(_raised(answer))).reason == "WRONG_DIMENSION"


async def _raised(error):
    raise error


async def test_a_configured_dimension_can_be_set_until_it_is_fixed(server):
    """Then it takes another router."""
    await server.change_router("default", embedding_dimension=5)
    assert (await refused(server.route())).reason == "WRONG_DIMENSION"
    refusal = await refused(server.change_router("default", embedding_dimension=DIMENSION))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DIMENSION_FIXED")
    await server.change_router("default", embedding_dimension=5)
    await server.route(context=context(dimension=5))


# --- policy changes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["lin_thompson", "nonlinear", "constant", "adaptive"])
async def test_a_new_policy_knows_what_the_old_one_learnt(server, preset):
    """The belief is rebuilt from the log, and a fold of the log from nothing gives the same to the last bit."""
    await teach(server, range(15))
    before = {m.model_id: m.quality_count for m in (await server.status()).models}
    await server.change_router("default", policy=router_pb2.Policy(preset=preset))
    await server.route(99)
    status = await server.status()
    assert status.policy.preset == preset
    assert {m.model_id: m.quality_count for m in status.models} == before
    await teach(server, range(15, 20))
    assert (await server.status()).state_digest == folded_digest(server)


async def test_an_objective_acts_at_once_and_relearns_nothing(server):
    """What was learnt is the same to the last bit; the choice is another."""
    await teach(server, range(10))
    before = await server.status()
    await server.change_router("default", objective=router_pb2.Objective(usd_weight=1e6))
    after = await server.status()
    assert beliefs(after) == beliefs(before)
    answer = await server.route()
    assert answer.model_id == "small" or answer.propensity < 0.01


# --- removal ---------------------------------------------------------------------------------------------------------


async def test_a_router_made_anew_has_nothing_to_do_with_its_namesake(server):
    """Outcomes of the old one's decisions are late, and its books start at zero."""
    await server.add_router("r", embedding_dimension=DIMENSION)
    await teach(server, range(5), "r")
    old = await server.route(router_id="r")
    await server.admin.DeleteRouter(pb.DeleteRouterRequest(router_id="r"))
    assert (await refused(server.route(router_id="r"))).reason == "ROUTER_NOT_FOUND"
    assert await server.record(old.decision_id, quality=1.0) == outcome_pb2.OUTCOME_STATUS_LATE
    await server.add_router("r", embedding_dimension=DIMENSION)
    assert await server.record(old.decision_id, latency_ms=1.0) == outcome_pb2.OUTCOME_STATUS_LATE
    status = await server.status("r")
    assert sum(m.quality_count + m.latency_count for m in status.models) == 0
    assert status.decisions.decision_count == 0
    assert status.decisions.waiting_count == 0
    assert (await server.decision(old.decision_id)).router_id == "r"
    assert status.state_digest == folded_digest(server, "r")


# --- snapshots -------------------------------------------------------------------------------------------------------


async def test_a_restored_snapshot_is_what_was_believed_then_and_learning_goes_on(tmp_path):
    """Also after a restart, and a fold of the log from nothing agrees."""
    config = config_for(tmp_path / "data")
    async with running(config) as server:
        await furnish(server)
        await teach(server, range(10))
        then = await server.status()
        await server.bridge.submit(TakeSnapshot())
        await teach(server, range(10, 20))
        await server.bridge.submit(TakeSnapshot())
        stored = await snapshots(server)
        assert [s.policy_version for s in stored] == sorted((s.policy_version for s in stored), reverse=True)
        assert all(s.size_bytes > 0 and s.policy == then.policy.preset for s in stored)
        assert then.policy_version in {s.policy_version for s in stored}
        request = pb.RestoreSnapshotRequest(policy_version=then.policy_version)
        restored = (await server.admin.RestoreSnapshot(request)).status
        assert beliefs(restored) == beliefs(then)
        assert restored.decisions.decision_count == 20
        assert restored.state_digest == folded_digest(server)
        before = sum(m.quality_count for m in restored.models)
        await teach(server, range(20, 25))
        status = await server.status()
        assert sum(m.quality_count for m in status.models) == before + 5
        assert status.state_digest == folded_digest(server)
        # What was taken back stays away when the belief is rebuilt.
        await server.change_router("default", policy=router_pb2.Policy(preset="constant"))
        await server.route()
        rebuilt = await server.status()
        assert sum(m.quality_count for m in rebuilt.models) == before + 5
    async with running(config) as server:
        after = await server.status()
        assert after.state_digest == rebuilt.state_digest


async def test_a_snapshot_of_another_policy_is_not_restored(server):
    """Nothing changes."""
    await teach(server, range(5))
    await server.bridge.submit(TakeSnapshot())
    (stored,) = await snapshots(server)
    await server.change_router("default", policy=router_pb2.Policy(preset="linucb", parameters={"alpha": 0.125}))
    before = await server.status()
    refusal = await refused(
        server.admin.RestoreSnapshot(pb.RestoreSnapshotRequest(policy_version=stored.policy_version))
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FEATURE_SPEC_MISMATCH")
    assert (await server.status()).state_digest == before.state_digest


async def test_snapshots_are_listed_per_router_in_pages(server):
    """Newest first; a router that came later has fewer."""
    for k in range(3):
        await teach(server, [k])
        await server.bridge.submit(TakeSnapshot())
    await server.add_router("later")
    await server.bridge.submit(TakeSnapshot())
    assert len(await snapshots(server, "later")) == 1
    first = await server.admin.ListSnapshots(pb.ListSnapshotsRequest(page_size=3))
    assert len(first.snapshots) == 3
    rest = await server.admin.ListSnapshots(pb.ListSnapshotsRequest(page_size=3, page_token=first.next_page_token))
    assert len(rest.snapshots) == 1
    assert not rest.next_page_token
