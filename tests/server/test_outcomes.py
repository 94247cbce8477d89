"""RecordOutcome and RecordOutcomes: each fact once, in whatever pieces and order it comes."""

import asyncio
import itertools

import grpc
import numpy as np
import pytest
from google.protobuf import timestamp_pb2

from banditd.domain.ids import issue_decision_id
from banditd.domain.records import OutcomeRecord
from banditd.learner.commands import Tend
from banditd_proto.v1 import decision_pb2, model_pb2, outcome_pb2, router_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.conftest import furnish
from tests.server.harness import FakeClock, config_for, context, refused, running

APPLIED = outcome_pb2.OUTCOME_STATUS_APPLIED
DUPLICATE = outcome_pb2.OUTCOME_STATUS_DUPLICATE
LATE = outcome_pb2.OUTCOME_STATUS_LATE
OVERRIDDEN = outcome_pb2.OUTCOME_STATUS_OVERRIDDEN
NOT_LEARNED = outcome_pb2.OUTCOME_STATUS_NOT_LEARNED
ORPHANED = outcome_pb2.OUTCOME_STATUS_ORPHANED
HOUR_MS = 3_600_000


def belief(status, model_id):
    """Return what is known of a model."""
    return next(m for m in status.models if m.model_id == model_id)


def lessons(server):
    """Return what was learnt of each outcome, as the log has it."""
    return [e.record.ruling.lesson for e in server.bridge.log.scan(0) if isinstance(e.record, OutcomeRecord)]


async def decide(server, model_id="small", **changes):
    """Return the id of a decision for one model."""
    return (await server.route(candidate_model_ids=[model_id], **changes)).decision_id


# --- pieces ----------------------------------------------------------------------------------------------------------


async def test_pieces_are_each_applied_once_in_any_order(server):
    """Quality, cost and latency in three calls, in all six orders, give the same belief to the last bit."""
    pieces = ({"quality": 0.75}, {"cost_usd": 0.002}, {"latency_ms": 640.0})
    found = []
    for order in itertools.permutations(pieces):
        router_id = f"r{len(found)}"
        # Without contexts: each router projects embeddings in its own way.
        await server.add_router(router_id, policy=router_pb2.Policy(preset="constant"))
        decision_id = await decide(server, router_id=router_id)
        for facts in order:
            assert await server.record(decision_id, **facts) == APPLIED
        for facts in order:
            assert await server.record(decision_id, **facts) == DUPLICATE
        status = await server.status(router_id)
        learnt = belief(status, "small")
        assert (learnt.quality_count, learnt.cost_count, learnt.latency_count) == (1, 1, 1)
        found.append((learnt.quality, learnt.cost_usd, learnt.latency_ms))
        assert status.decisions.observed_count == 1
    assert len(set(found)) == 1


async def test_the_first_value_of_a_metric_counts(server):
    """Later values under other ids are kept and not learnt."""
    decision_id = await decide(server)
    assert await server.record(decision_id, outcome_id="a", quality=0.9) == APPLIED
    assert await server.record(decision_id, outcome_id="b", quality=0.1) == NOT_LEARNED
    assert await server.record(decision_id, outcome_id="c", quality=0.1, latency_ms=5.0) == APPLIED
    learnt = belief(await server.status(), "small")
    assert (learnt.quality_count, learnt.latency_count) == (1, 1)
    assert [o.quality for o in (await server.decision(decision_id)).outcomes] == [0.9, 0.1, 0.1]
    assert [lesson.quality for lesson in lessons(server)] == [0.9, None, None]


async def test_equal_content_under_two_ids_is_two_outcomes(server):
    """With an id the id tells outcomes apart; without one, the content does."""
    decision_id = await decide(server)
    assert await server.record(decision_id, outcome_id="a", quality=0.5) == APPLIED
    assert await server.record(decision_id, outcome_id="b", quality=0.5) == NOT_LEARNED
    assert await server.record(decision_id, quality=0.5) == NOT_LEARNED
    assert await server.record(decision_id, quality=0.5) == DUPLICATE
    assert await server.record(decision_id, outcome_id="a", quality=0.5) == DUPLICATE


async def test_an_id_with_other_content_conflicts_and_the_first_one_stands(server):
    """Also where only what is unset differs from zero."""
    decision_id = await decide(server)
    await server.record(decision_id, outcome_id="a", quality=0.0)
    before = await server.status()
    for facts in ({"quality": 1.0}, {"quality": 0.0, "latency_ms": 0.0}, {"cost_usd": 0.0}, {"failure": 1}):
        refusal = await refused(server.record(decision_id, outcome_id="a", **facts))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "CONFLICTING_OUTCOME")
    after = await server.status()
    assert after.state_digest == before.state_digest
    assert after.outcomes.rejected_count == before.outcomes.rejected_count + 4


async def test_an_outcome_id_belongs_to_its_decision(server):
    """Two decisions may use the same one."""
    for _ in range(2):
        assert await server.record(await decide(server), outcome_id="done", quality=1.0) == APPLIED


async def test_the_17th_outcome_of_a_decision_is_refused(server):
    """Repetitions of the first 16 are still recognised."""
    decision_id = await decide(server)
    for i in range(16):
        await server.record(decision_id, outcome_id=f"o{i}", quality=0.5)
    refusal = await refused(server.record(decision_id, outcome_id="o16", latency_ms=1.0))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_OUTCOMES")
    assert await server.record(decision_id, outcome_id="o3", quality=0.5) == DUPLICATE


async def test_concurrent_repetitions_apply_once(server):
    """They share a commit, or not; one of them is first."""
    decision_id = await decide(server)
    statuses = await asyncio.gather(*(server.record(decision_id, quality=0.5) for _ in range(40)))
    assert sorted(statuses) == [APPLIED, *[DUPLICATE] * 39]


# --- what is not learnt ----------------------------------------------------------------------------------------------


async def test_an_outcome_of_another_model_is_kept_and_not_learnt(server):
    """The decision is censored: its quality will not come."""
    decision_id = (await server.route(candidate_model_ids=["small", "large"])).decision_id
    shown = await server.decision(decision_id)
    other = "large" if shown.model_id == "small" else "small"
    before = await server.status()
    assert await server.record(decision_id, served_model_id=other, quality=0.9, cost_usd=1.0) == OVERRIDDEN
    assert await server.record(decision_id, quality=0.9) == NOT_LEARNED
    after = await server.status()
    assert [m.quality_count for m in after.models] == [m.quality_count for m in before.models]
    assert after.decisions.censored_count == 1
    shown = await server.decision(decision_id)
    assert shown.resolution == decision_pb2.RESOLUTION_CENSORED
    assert shown.outcomes[0].served_model_id == other


async def test_that_another_model_served_is_worth_telling_alone(server):
    """Else the window would close on a decision that no outcome can belong to."""
    decision_id = (await server.route(candidate_model_ids=["small", "large"])).decision_id
    chosen = (await server.decision(decision_id)).model_id
    other = "large" if chosen == "small" else "small"
    assert await server.record(decision_id, served_model_id=other) == OVERRIDDEN
    assert (await server.decision(decision_id)).resolution == decision_pb2.RESOLUTION_CENSORED


async def test_naming_the_chosen_model_changes_nothing(server):
    """It is what an unset field means."""
    decision_id = await decide(server)
    assert await server.record(decision_id, served_model_id="small", quality=0.5) == APPLIED


async def test_the_chosen_model_can_be_named_after_it_was_made_anew(server):
    """The name then stands for the model that the decision was about."""
    decision_id = await decide(server)
    await server.delete_model("small")
    await server.add_model("small")
    assert await server.record(decision_id, served_model_id="small", latency_ms=5.0) == APPLIED
    # What was learnt was of a model that is gone; the new one starts from its prior.
    assert belief(await server.status(), "small").latency_count == 0


@pytest.mark.parametrize("failure", [v for v in outcome_pb2.Failure.values() if v])
async def test_a_failure_is_counted_and_never_averaged_into_quality(server, failure):
    """Not even where a quality comes with it or after it."""
    decision_id = await decide(server)
    before = belief(await server.status(), "small")
    assert await server.record(decision_id, failure=failure, quality=0.0, latency_ms=9.0) == NOT_LEARNED
    assert await server.record(decision_id, quality=1.0) == NOT_LEARNED
    after = belief(await server.status(), "small")
    assert after.failure_count == before.failure_count + 1
    assert (after.quality_count, after.quality, after.latency_ms) == (
        before.quality_count,
        before.quality,
        before.latency_ms,
    )


async def test_a_genuine_id_without_a_decision_is_orphaned(server):
    """Acknowledged early and lost: counted, never an error storm."""
    before = await server.status()
    raw, _ = issue_decision_id(server.bridge.secret, 1_000_000, 1)
    assert await server.record(raw.hex(), quality=0.5) == ORPHANED
    # The position is used by something else, or by a decision of another epoch.
    decision_id = await decide(server)
    position = int(decision_id[:12], 16)
    for other in (position - 1, position):
        raw, _ = issue_decision_id(server.bridge.secret, other, 999)
        assert await server.record(raw.hex(), quality=0.5) == ORPHANED
        refusal = await refused(server.decision(raw.hex()))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "DECISION_NOT_FOUND")
    after = await server.status()
    assert after.outcomes.orphaned_count == before.outcomes.orphaned_count + 3
    assert sum(m.quality_count for m in after.models) == 0


# --- cost ------------------------------------------------------------------------------------------------------------


async def test_cost_is_computed_from_tokens_at_the_price_in_force(server):
    """Exactly tokens times price; a reported cost wins; input tokens may be those of the request."""
    await server.change_model("small", price=model_pb2.Price(input_mtok_usd=3.0, output_mtok_usd=15.0))
    await server.record(await decide(server), input_token_count=1000, output_token_count=200)
    known = await decide(server, context=context(input_token_count=500))
    await server.record(known, output_token_count=100)
    await server.record(await decide(server), input_token_count=1000, output_token_count=200, cost_usd=0.5)
    await server.change_model("small", price=model_pb2.Price(input_mtok_usd=6.0, output_mtok_usd=15.0))
    await server.record(await decide(server), input_token_count=1000, output_token_count=200)
    assert [lesson.cost_usd for lesson in lessons(server)] == [
        pytest.approx(0.006, rel=1e-12),
        pytest.approx(0.003, rel=1e-12),
        0.5,
        pytest.approx(0.009, rel=1e-12),
    ]
    assert [lesson.price_mtok_usd for lesson in lessons(server)] == [6.0, 6.0, 6.0, 8.25]
    assert belief(await server.status(), "small").cost_count == 4


async def test_without_price_or_tokens_there_is_no_cost(server):
    """Rather than a cost of zero: nothing is learnt of it."""
    await server.add_model("unpriced", price=None)
    assert (
        await server.record(await decide(server, "unpriced"), input_token_count=9, output_token_count=9) == NOT_LEARNED
    )
    assert await server.record(await decide(server), input_token_count=9) == NOT_LEARNED
    assert await server.record(await decide(server), output_token_count=9) == NOT_LEARNED
    status = await server.status()
    assert sum(m.cost_count for m in status.models) == 0
    assert not belief(status, "unpriced").HasField("cost_usd")
    assert await server.record(await decide(server, "unpriced"), cost_usd=0.25) == APPLIED
    assert belief(await server.status(), "unpriced").cost_usd > 0.0


@pytest.mark.parametrize("price", [0.0, 5e-324, 1e-300, 1e-12, 1e6])
async def test_no_price_whatever_poisons_the_belief(server, price):
    """Ratios to denormal prices would be infinite, and nothing could be learnt after."""
    await server.change_model("small", price=model_pb2.Price(input_mtok_usd=price, output_mtok_usd=price))
    for cost in (0.0, 5e-324, 1e-9, 1.0, 1e6):
        await server.record(await decide(server), cost_usd=cost, latency_ms=cost, quality=1.0)
        await server.record(await decide(server), input_token_count=10**8, output_token_count=10**8)
    await server.change_model("small", price=model_pb2.Price(input_mtok_usd=1.0, output_mtok_usd=1.0))
    learnt = belief(await server.status(), "small")
    for value in (learnt.quality, learnt.quality_deviation, learnt.cost_usd, learnt.latency_ms):
        assert np.isfinite(value)
    assert learnt.cost_usd > 0.0, "unset where it is no number"
    answer = await server.route(objective={"usd_weight": 1.0, "second_weight": 1.0})
    assert answer.source == decision_pb2.DECISION_SOURCE_POLICY


# --- windows ---------------------------------------------------------------------------------------------------------


async def test_what_comes_after_the_window_is_kept_and_not_learnt(tmp_path):
    """At its last millisecond it is learnt, one later it is not, whatever `observe_time` says."""
    clock = FakeClock()
    async with running(config_for(tmp_path / "data"), clock) as server:
        await furnish(server)
        await server.change_router("default", attribution_window_ms=HOUR_MS)
        in_time, late = await decide(server), await decide(server)
        made_ms = clock.now_ms()
        clock.advance(HOUR_MS)
        assert await server.record(in_time, quality=1.0) == APPLIED
        clock.advance(1)
        observed = timestamp_pb2.Timestamp(seconds=made_ms // 1000 + 1)
        assert await server.record(late, quality=1.0, observe_time=observed) == LATE
        assert await server.record(late, quality=1.0, observe_time=observed) == DUPLICATE
        assert await server.record(in_time, latency_ms=3.0) == LATE
        assert belief(await server.status(), "small").quality_count == 1
        assert len((await server.decision(late)).outcomes) == 1


@pytest.mark.parametrize("default_quality", [None, 0.25])
async def test_a_closed_window_resolves_a_decision_once(tmp_path, default_quality):
    """With the router's default if it has one, else with nothing; what was observed stays as it is."""
    clock = FakeClock()
    async with running(config_for(tmp_path / "data"), clock) as server:
        await furnish(server)
        await server.change_router("default", attribution_window_ms=HOUR_MS, default_quality=default_quality)
        waiting, observed, failed = [await decide(server) for _ in range(3)]
        await server.record(observed, quality=0.75)
        await server.record(failed, failure=1)
        await server.record(waiting, latency_ms=10.0)
        clock.advance(HOUR_MS)
        await server.bridge.submit(Tend())
        assert (await server.decision(waiting)).resolution == decision_pb2.RESOLUTION_WAITING
        clock.advance(1)
        for _ in range(3):
            await server.bridge.submit(Tend())
        resolutions = [(await server.decision(i)).resolution for i in (waiting, observed, failed)]
        assert resolutions == [
            decision_pb2.RESOLUTION_EXPIRED,
            decision_pb2.RESOLUTION_OBSERVED,
            decision_pb2.RESOLUTION_CENSORED,
        ]
        status = await server.status()
        books = status.decisions
        assert (books.decision_count, books.observed_count, books.expired_count, books.censored_count) == (3, 1, 1, 1)
        assert books.waiting_count == 0
        assert belief(status, "small").quality_count == (1 if default_quality is None else 2)
        assert await server.record(waiting, quality=1.0) == LATE


async def test_a_time_before_the_decision_or_ahead_of_now_is_refused(tmp_path):
    """Five minutes of skew are allowed."""
    clock = FakeClock()
    async with running(config_for(tmp_path / "data"), clock) as server:
        await furnish(server)
        decision_id = await decide(server)
        now = clock.now_ms() // 1000
        for seconds, bad in ((now - 1, True), (now + 301, True), (now + 300, False), (now, False)):
            call = server.record(
                decision_id, outcome_id=f"{seconds}", quality=0.5, observe_time=timestamp_pb2.Timestamp(seconds=seconds)
            )
            if bad:
                refusal = await refused(call)
                assert (refusal.reason, refusal.fields) == ("BAD_TIMESTAMP", ["outcome.observe_time"])
            else:
                await call


# --- RecordOutcomes --------------------------------------------------------------------------------------------------


async def test_in_a_batch_each_outcome_stands_for_itself(server):
    """One bad of a hundred: 99 are applied, and the bad one is answered in its place as RecordOutcome would."""
    ids = [await decide(server) for _ in range(100)]
    outcomes = [outcome_pb2.Outcome(decision_id=i, quality=0.5) for i in ids]
    outcomes[37].quality = 2.0
    single = await refused(server.routing.RecordOutcome(pb.RecordOutcomeRequest(outcome=outcomes[37])))
    results = (await server.routing.RecordOutcomes(pb.RecordOutcomesRequest(outcomes=outcomes))).results
    assert [r.status for r in results] == [*[APPLIED] * 37, 0, *[APPLIED] * 62]
    bad = results[37]
    assert (bad.error_code, bad.error_reason, bad.error_message) == (
        single.code.value[0],
        single.reason,
        single.message,
    )
    assert all(not (r.error_code or r.error_reason or r.error_message) for r in results if r.status)
    status = await server.status()
    assert belief(status, "small").quality_count == 99
    assert (status.outcomes.received_count, status.outcomes.rejected_count) == (101, 2)


async def test_a_batch_may_hold_every_kind_of_answer(server):
    """Duplicates within it, conflicts, overrides and orphans, in the request's order."""
    first, second = await decide(server), (await server.route(candidate_model_ids=["small", "large"])).decision_id
    chosen = (await server.decision(second)).model_id
    other = "large" if chosen == "small" else "small"
    orphan, _ = issue_decision_id(server.bridge.secret, 999_999, 7)
    outcomes = [
        outcome_pb2.Outcome(decision_id=first, outcome_id="a", quality=0.5),
        outcome_pb2.Outcome(decision_id=first, outcome_id="a", quality=0.5),
        outcome_pb2.Outcome(decision_id=first, outcome_id="a", quality=0.6),
        outcome_pb2.Outcome(decision_id=second, served_model_id=other, quality=0.5),
        outcome_pb2.Outcome(decision_id=first, outcome_id="b", quality=0.7),
        outcome_pb2.Outcome(decision_id=orphan.hex(), quality=0.7),
        outcome_pb2.Outcome(decision_id="nonsense", quality=0.7),
    ]
    results = (await server.routing.RecordOutcomes(pb.RecordOutcomesRequest(outcomes=outcomes))).results
    assert [(r.status, r.error_reason) for r in results] == [
        (APPLIED, ""),
        (DUPLICATE, ""),
        (0, "CONFLICTING_OUTCOME"),
        (OVERRIDDEN, ""),
        (NOT_LEARNED, ""),
        (ORPHANED, ""),
        (0, "INVALID_DECISION_ID"),
    ]
    books = (await server.status()).outcomes
    assert (books.received_count, books.rejected_count, books.waiting_count) == (7, 2, 0)


async def test_the_books_outlive_a_restart(tmp_path):
    """What was counted stays counted; what waited was never answered."""
    config = config_for(tmp_path / "data")
    async with running(config) as server:
        await furnish(server)
        decision_id = await decide(server)
        await server.record(decision_id, quality=0.5)
        await server.record(decision_id, quality=0.5)
        await refused(server.record(decision_id, quality=5.0))
        await server.record(decision_id, failure=1)
        before = await server.status()
    async with running(config) as server:
        after = await server.status()
        assert after.outcomes == before.outcomes
        assert after.state_digest == before.state_digest
        assert await server.record(decision_id, quality=0.5) == DUPLICATE
