"""CatalogService: models come, change and go at run time."""

import grpc
import pytest

from banditd_proto.v1 import catalog_service_pb2 as pb
from banditd_proto.v1 import model_pb2
from tests.server.conftest import furnish
from tests.server.harness import config_for, refused, running


async def listed(server, page_size=0):
    """Return all models, page by page."""
    models, token = [], ""
    while True:
        page = await server.catalog.ListModels(pb.ListModelsRequest(page_size=page_size, page_token=token))
        models.extend(page.models)
        assert len(page.models) <= (page_size or 256)
        token = page.next_page_token
        if not token:
            return models


async def test_a_model_is_returned_as_it_was_made(server):
    """Every field, and when it was made."""
    made = await server.add_model(
        "org/model-1.5:free@eu+x",
        price=(0.25, 1.25),
        context_window_token_count=128_000,
        tags=["eu", "json"],
        state=model_pb2.MODEL_STATE_DISABLED,
        quality_guess=0.0,
        latency_ms_guess=750.0,
    )
    assert made.create_time == made.update_time
    found = (await server.catalog.GetModel(pb.GetModelRequest(model_id="org/model-1.5:free@eu+x"))).model
    assert found == made
    assert found.HasField("quality_guess")
    assert found.state == model_pb2.MODEL_STATE_DISABLED
    plain = await server.add_model("plain", price=None)
    assert plain.state == model_pb2.MODEL_STATE_ENABLED
    assert not plain.HasField("price")
    assert not plain.HasField("quality_guess")


async def test_making_the_same_model_again_changes_nothing(server):
    """Safe to repeat; other content is a conflict."""
    first = await server.add_model("new", price=(1.0, 2.0), tags=["a"])
    assert await server.add_model("new", price=(1.0, 2.0), tags=["a"]) == first
    refusal = await refused(server.add_model("new", price=(1.0, 2.5), tags=["a"]))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "MODEL_EXISTS")


@pytest.mark.parametrize("page_size", [0, 1, 2, 3, 5, 256])
async def test_models_are_listed_in_order_of_creation_in_pages(server, page_size):
    """Each once, whatever the size of the pages."""
    for name in ("zeta", "alpha"):
        await server.add_model(name)
    assert [m.model_id for m in await listed(server, page_size)] == ["small", "medium", "large", "zeta", "alpha"]


async def test_an_update_changes_what_its_mask_names_and_nothing_else(server):
    """A field that is named and unset is cleared."""
    await server.add_model("new", tags=["a"], quality_guess=0.7, latency_ms_guess=10.0, context_window_token_count=9)
    request = pb.UpdateModelRequest(model=model_pb2.Model(model_id="new", tags=["b"], context_window_token_count=77))
    request.update_mask.paths.extend(["tags", "quality_guess", "price", "tags"])
    changed = (await server.catalog.UpdateModel(request)).model
    assert list(changed.tags) == ["b"]
    assert not changed.HasField("quality_guess")
    assert not changed.HasField("price")
    assert changed.context_window_token_count == 9
    assert changed.latency_ms_guess == 10.0
    assert changed.state == model_pb2.MODEL_STATE_ENABLED
    assert (await server.catalog.GetModel(pb.GetModelRequest(model_id="new"))).model == changed


async def test_a_model_that_a_router_names_cannot_be_deleted(server):
    """As one of its models or as its fallback; the router is changed first."""
    await server.add_router("r", model_ids=["small"])
    await server.add_router("s", fallback_model_id="large")
    for model_id in ("small", "large"):
        refusal = await refused(server.delete_model(model_id))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_IN_USE")
    await server.change_router("r", model_ids=None)
    await server.change_router("s", fallback_model_id=None)
    await server.delete_model("small")
    assert [m.model_id for m in await listed(server)] == ["medium", "large"]
    assert (await refused(server.delete_model("small"))).reason == "MODEL_NOT_FOUND"


async def test_a_model_made_anew_starts_from_its_prior(server):
    """What was learnt of its namesake stays in the log."""
    for seed in range(5):
        answer = await server.route(seed, candidate_model_ids=["small"])
        await server.record(answer.decision_id, quality=1.0)
    old = (await server.decision(answer.decision_id)).model_id
    await server.delete_model("small")
    await server.add_model("small", price=(9.0, 9.0))
    models = {m.model_id: m for m in (await server.status()).models}
    assert (models["small"].quality_count, models["small"].decision_count, models["small"].quality) == (0, 0, 0.5)
    assert old == "small"
    assert (await server.decision(answer.decision_id)).model_id == "small"


async def test_the_catalogue_outlives_a_restart(tmp_path):
    """With its changes and its gaps, and without moving what was learnt from one model to another."""
    config = config_for(tmp_path / "data")
    async with running(config) as server:
        await furnish(server)
        await server.delete_model("small")
        await server.add_model("extra", price=None, tags=["t"])
        await server.change_model("large", state=model_pb2.MODEL_STATE_DISABLED)
        answer = await server.route(candidate_model_ids=["extra"])
        await server.record(answer.decision_id, quality=1.0)
        models, status = await listed(server), await server.status()
    async with running(config) as server:
        assert await listed(server) == models
        after = await server.status()
        assert after.state_digest == status.state_digest
        assert list(after.models) == list(status.models)
        again = await server.add_model("small")
        assert again.model_id == "small"
        assert {m.model_id: m.quality_count for m in (await server.status()).models}["small"] == 0
