"""A log that the live server wrote gives, replayed here, the same decisions bit for bit."""

import asyncio

import msgspec
import pytest

from banditd_proto.v1 import model_pb2, router_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from banditd_sim.environments.errors import SimError
from tests.server.harness import DIMENSION, batch_request, config_for, context, running
from tests.sim.environments.live_log import remake_directory

PRESETS = ("linucb", "lin_thompson", "squarecb", "nonlinear")
PER_ROUTER = 330


async def live(server, preset, seeds):
    """Decide and learn concurrently, so that decisions are made by snapshots that lag behind the log."""

    async def one(seed):
        answer = await server.route(
            seed,
            router_id=preset,
            context=context(seed, **({"input_token_count": 10 * seed} if seed % 3 else {})),
            candidate_model_ids=["large", "small"] if seed % 7 == 0 else [],
            limits=pb.Limits(cost_usd_max=1.0) if seed % 5 == 0 else None,
            objective=router_pb2.Objective(usd_weight=float(seed)) if seed % 6 == 0 else None,
        )
        if seed % 4:
            await server.record(
                answer.decision_id, quality=(seed % 5) / 5, latency_ms=10.0 + seed, cost_usd=1e-4 * seed
            )

    await asyncio.gather(*(one(seed) for seed in seeds))


async def write_log(data):
    """Let a server write a log with fits, price changes, a new and a removed model, a new policy; stop it."""
    async with running(config_for(data)) as server:
        for k, model_id in enumerate(("small", "medium", "large")):
            await server.add_model(model_id, price=(0.1 * 10**k, 0.4 * 10**k))
        for preset in PRESETS:
            await server.add_router(preset, embedding_dimension=DIMENSION, policy=router_pb2.Policy(preset=preset))
        for preset in PRESETS:
            for start in range(0, 300, 60):
                await live(server, preset, range(start, start + 60))
        await server.change_model("small", price=model_pb2.Price(input_mtok_usd=7.0, output_mtok_usd=9.0))
        await server.add_model("late", price=(0.5, 0.5))
        await server.delete_model("medium")
        await server.change_router("linucb", policy=router_pb2.Policy(preset="linucb", parameters={"alpha": 0.5}))
        for preset in PRESETS:
            await live(server, preset, range(300, 327))
            await server.routing.RouteBatch(batch_request(3, router_id=preset, input_token_counts=[1, -1, 900]))


async def test_every_decision_of_a_stopped_server_is_made_again(tmp_path):
    """Model, probabilities, expectations and exclusions, of every decision on the disk."""
    await write_log(tmp_path / "data")
    remade = list(remake_directory(tmp_path / "data"))
    assert len(remade) == PER_ROUTER * len(PRESETS)
    assert [one.position for one in remade if not one.equal] == []
    # The test means nothing unless decisions were made by older snapshots, under several encodings, and differently.
    assert any(one.decision.policy_version < one.position - 2 for one in remade)
    assert len({one.again.pmf.tobytes() for one in remade}) > 200


async def test_another_decision_is_told_from_the_same(tmp_path):
    """`equal` is not a formality: one bit of the pmf, or another draw, is seen."""
    from dataclasses import replace

    await write_log(tmp_path / "data")
    one = next(iter(remake_directory(tmp_path / "data")))
    pmf = one.again.pmf.copy()
    pmf[0] += 2.0**-52
    assert not replace(one, again=msgspec.structs.replace(one.again, pmf=pmf)).equal
    other = (one.again.index + 1) % len(pmf)
    assert not replace(one, again=msgspec.structs.replace(one.again, index=other)).equal


async def test_a_log_with_a_hole_is_refused(tmp_path):
    """Without its first outcomes, a decision names a version that the fold never reaches."""
    from banditd.domain.records import OutcomeRecord
    from banditd.store.env import Env
    from banditd.store.log import Log
    from tests.sim.environments.live_log import remake

    await write_log(tmp_path / "data")
    with Env(tmp_path / "data", 1 << 30, readonly=True) as env:
        log = Log(env)
        entries = [entry for entry in log.scan(0) if not isinstance(entry.record, OutcomeRecord)]
        with pytest.raises(SimError, match="a version of the router"):
            list(remake(entries, log))
