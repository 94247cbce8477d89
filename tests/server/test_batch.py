"""RouteBatch: the decisions of Route, in columns."""

import asyncio

import grpc
import numpy as np
import pytest

from banditd_proto.v1 import catalog_service_pb2 as catalog_pb2
from banditd_proto.v1 import decision_pb2, model_pb2, router_pb2
from banditd_proto.v1 import routing_service_pb2 as pb
from tests.server.conftest import furnish
from tests.server.harness import batch_request, config_for, embedding, refused, running


def matrix(column, answer):
    """Return a column as rows by models."""
    return np.array(column).reshape(-1, len(answer.model_ids))


def ids_of(answer):
    """Return the decision ids in Route's form."""
    raw = answer.decision_ids
    return [raw[i : i + 16].hex() for i in range(0, len(raw), 16)]


async def test_each_row_is_a_decision_of_its_own(server):
    """Its id names it, and what is kept is what was returned: P4 for a thousand decisions."""
    await server.change_router("default", policy=router_pb2.Policy(preset="lin_thompson", parameters={"floor": 0.05}))
    for seed in range(10):
        await server.record((await server.route(seed)).decision_id, quality=seed / 10)
    rows = 1024
    answer = await server.routing.RouteBatch(
        batch_request(rows, input_token_counts=list(range(rows)), categories=[f"c{r % 3}" for r in range(rows)])
    )
    pmf = matrix(answer.probabilities, answer)
    assert pmf.shape == (rows, 3)
    assert np.abs(pmf.sum(axis=1) - 1.0).max() < 1e-9
    assert pmf.min() >= 0.05 / 3 - 1e-12
    ids = ids_of(answer)
    assert len(set(ids)) == rows
    assert set(answer.model_indices) == {0, 1, 2}
    drawn = pmf[np.arange(rows), list(answer.model_indices)]
    assert np.array_equal(drawn, np.array(answer.propensities))
    for row, decision_id in enumerate(ids):
        stored = server.bridge.log.get(int(decision_id[:12], 16)).record
        assert stored.decision_id.hex() == decision_id
        assert stored.choice.propensity == answer.propensities[row]
        assert stored.choice.pmf.tobytes() == pmf[row].tobytes()
        assert stored.choice.index == answer.model_indices[row]
        assert np.array_equal(stored.context.embedding, embedding(row).astype(np.float16))
        assert (stored.context.input_tokens, stored.context.category) == (row, f"c{row % 3}")
        assert (stored.batch_row, stored.batch_row_count) == (row, rows)
    for row in (0, 511, 1023):
        shown = await server.decision(ids[row])
        assert shown.propensity == answer.propensities[row]
        assert shown.model_id == answer.model_ids[answer.model_indices[row]]
        assert await server.record(ids[row], quality=0.5) == 1
    assert (await server.status()).decisions.decision_count == rows + 10


async def test_a_row_is_judged_as_route_judges_it(server):
    """Probabilities and expectations are equal to the last bit."""
    for seed in range(10):
        await server.record((await server.route(seed)).decision_id, quality=seed / 10, latency_ms=9.0, cost_usd=0.1)
    batch = await server.routing.RouteBatch(batch_request(6))
    for row in range(6):
        single = {c.model_id: c for c in (await server.route(row)).candidates}
        for k, model_id in enumerate(batch.model_ids):
            at = row * 3 + k
            assert single[model_id].probability == batch.probabilities[at]
            assert np.float32(single[model_id].expected_quality) == np.float32(batch.expected_qualities[at])
            assert np.float32(single[model_id].expected_cost_usd) == np.float32(batch.expected_costs_usd[at])
            assert np.float32(single[model_id].expected_latency_ms) == np.float32(batch.expected_latencies_ms[at])


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"objective": router_pb2.Objective(usd_weight=500.0, second_weight=0.1)},
        {"limits": pb.Limits(quality_min=0.01)},
        {"limits": pb.Limits(required_tags=["fast"])},
    ],
    ids=["the router's", "cost matters", "the cheapest", "some excluded"],
)
async def test_a_row_is_ranked_as_route_ranks(server, asked):
    """The caller has his fallbacks of each row: the order is that of the decision's candidates."""
    model = model_pb2.Model(model_id="large", tags=["fast"])
    await server.catalog.UpdateModel(catalog_pb2.UpdateModelRequest(model=model, update_mask={"paths": ["tags"]}))
    for seed in range(10):
        await server.record((await server.route(seed)).decision_id, quality=seed / 10, latency_ms=9.0, cost_usd=0.001)
    answer = await server.routing.RouteBatch(batch_request(20, **asked))
    ranked = matrix(list(answer.ranked_model_indices), answer)
    orders = set()
    for row, decision_id in enumerate(ids_of(answer)):
        order = [answer.model_ids[k] for k in ranked[row]]
        assert order == [c.model_id for c in (await server.decision(decision_id)).candidates]
        assert order[0] == answer.model_ids[answer.model_indices[row]]
        orders.add(tuple(order))
    assert len(orders) > 1 or asked


async def test_a_repeated_batch_returns_the_first_decisions(tmp_path):
    """In flight, later, and after a restart; with other content it is refused."""
    config = config_for(tmp_path / "data")
    async with running(config) as server:
        await furnish(server)
        answers = await asyncio.gather(
            *(server.routing.RouteBatch(batch_request(5, request_id="b-1")) for _ in range(10))
        )
        assert all(answer == answers[0] for answer in answers)
        assert (await server.status()).decisions.decision_count == 5
    async with running(config) as server:
        assert await server.routing.RouteBatch(batch_request(5, request_id="b-1")) == answers[0]
        for call in (
            server.routing.RouteBatch(batch_request(4, request_id="b-1")),
            server.route(request_id="b-1"),
        ):
            refusal = await refused(call)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_one_bad_row_fails_the_whole_batch(server):
    """All or nothing: no decision is logged."""
    await server.route()
    before = await server.status()
    values = np.stack([embedding(row) for row in range(5)])
    values[3, 1] = np.nan
    for request in (
        batch_request(5, embeddings_float32=values.tobytes()),
        batch_request(5, input_token_counts=[1, 1, 1, 2_000_000, 1]),
    ):
        await refused(server.routing.RouteBatch(request))
    assert (await server.status()).state_digest == before.state_digest


async def test_exclusions_stand_row_after_row(server):
    """They may differ between rows; expectations of unknown cost are NaN."""
    await server.change_model("small", context_window_token_count=100)
    await server.add_model("unpriced", price=None)
    answer = await server.routing.RouteBatch(batch_request(3, input_token_counts=[50, 200, -1]))
    reasons = matrix(answer.exclusion_reasons, answer)
    small, unpriced = (list(answer.model_ids).index(m) for m in ("small", "unpriced"))
    assert reasons[:, small].tolist() == [0, decision_pb2.EXCLUSION_REASON_CONTEXT_WINDOW, 0]
    assert matrix(answer.probabilities, answer)[1, small] == 0.0
    assert np.isnan(matrix(answer.expected_costs_usd, answer)[:, unpriced]).all()
    await server.change_model("small", context_window_token_count=None)
    assert not (await server.routing.RouteBatch(batch_request(3))).exclusion_reasons
    await server.change_model("medium", state=model_pb2.MODEL_STATE_DISABLED)
    answer = await server.routing.RouteBatch(batch_request(2, candidate_model_ids=["large", "medium"]))
    assert list(answer.model_ids) == ["medium", "large"]
    assert list(answer.exclusion_reasons) == [decision_pb2.EXCLUSION_REASON_DISABLED, 0] * 2
    assert set(answer.model_indices) == {1}


async def test_a_first_batch_fixes_the_dimension(server):
    """As a first prompt does."""
    await server.routing.RouteBatch(
        pb.RouteBatchRequest(row_count=2, embeddings_float32=np.ones((2, 5), "<f4").tobytes())
    )
    assert (await server.status()).embedding_dimension == 5
    assert (await refused(server.route())).reason == "WRONG_DIMENSION"
