"""Models, routers, status and snapshots."""

from datetime import UTC, datetime

import pytest

from banditd_client import (
    UNCHANGED,
    DecisionBooks,
    Model,
    ModelBelief,
    ModelHealth,
    ModelState,
    Objective,
    OutcomeBooks,
    Policy,
    PolicyStatus,
    Price,
    Router,
    Snapshot,
)
from banditd_proto.v1 import catalog_service_pb2, model_pb2, policy_pb2, router_admin_service_pb2, router_pb2

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATER = datetime(2026, 3, 5, tzinfo=UTC)
MODEL_FIELDS = {
    "price": Price(0.0, 10.0, cached_input_mtok_usd=0.0, request_usd=0.01),
    "context_window_tokens": 8000,
    "tags": ("eu", "json"),
    "state": ModelState.DISABLED,
    "quality_guess": 0.0,
    "latency_ms_guess": 800.0,
    "sibling_model": "medium",
}
WIRE_MODEL = {
    "model_id": "large",
    "price": {"input_mtok_usd": 0.0, "output_mtok_usd": 10.0, "cached_input_mtok_usd": 0.0, "request_usd": 0.01},
    "context_window_token_count": 8000,
    "tags": ["eu", "json"],
    "state": "MODEL_STATE_DISABLED",
    "quality_guess": 0.0,
    "latency_ms_guess": 800.0,
    "sibling_model_id": "medium",
}
MODEL_PATHS = {"context_window_tokens": "context_window_token_count", "sibling_model": "sibling_model_id"}
ROUTER_FIELDS = {
    "embedding_dimension": 384,
    "embedding_model": "mini",
    "model_ids": ("large", "small"),
    "policy": Policy("linucb", {"alpha": 0.5}),
    "objective": Objective(usd_weight=0.0, second_weight=None),
    "switch_usd": 0.02,
    "fallback_model": "small",
    "attribution_window_ms": 60_000,
    "default_quality": 0.0,
    "quality_guess": 0.6,
}
WIRE_ROUTER = {
    "router_id": "chat",
    "embedding_dimension": 384,
    "embedding_model": "mini",
    "model_ids": ["large", "small"],
    "policy": {"preset": "linucb", "parameters": {"alpha": 0.5}},
    "objective": {"usd_weight": 0.0},
    "switch_usd": 0.02,
    "fallback_model_id": "small",
    "attribution_window_ms": 60_000,
    "default_quality": 0.0,
    "quality_guess": 0.6,
}
TIMES = {"create_time": WHEN, "update_time": LATER}
STATUS = policy_pb2.PolicyStatus(
    router_id="default",
    policy={"preset": "linucb", "parameters": {"alpha": 0.5}},
    policy_version=9,
    state_digest="d" * 32,
    feature_fingerprint="f",
    embedding_dimension=384,
    feature_fit_position=5,
    models=[
        {
            "model_id": "a",
            "decision_count": 1,
            "quality_count": 2,
            "cost_count": 3,
            "latency_count": 4,
            "failure_count": 5,
            "unpriced": True,
            "quality": 0.5,
            "latency_ms": 7.0,
            "quality_deviation": 0.25,
            "probability_sum": 8.0,
            "probability_min": 0.0,
            "health": "MODEL_HEALTH_BACKING_OFF",
            "health_until_time": LATER,
            "newcomer": True,
            "quality_alarm_count": 9,
            "cost_alarm_count": 10,
            "latency_alarm_count": 11,
            "last_alarm_time": WHEN,
        },
        {"model_id": "b", "health": 99},
    ],
    outcomes={field.name: field.number for field in policy_pb2.OutcomeBooks.DESCRIPTOR.fields},
    decisions={field.name: field.number for field in policy_pb2.DecisionBooks.DESCRIPTOR.fields},
)


async def test_a_created_model_goes_and_comes_back_whole(server, caller):
    """Zeros included: a price of nothing is a price."""
    server.play("CreateModel", lambda request: catalog_service_pb2.CreateModelResponse(model=WIRE_MODEL | TIMES))
    assert await caller("create_model", "large", **MODEL_FIELDS) == Model("large", **MODEL_FIELDS, **TIMES)
    assert server.requests("CreateModel") == [catalog_service_pb2.CreateModelRequest(model=WIRE_MODEL)]


async def test_a_model_without_details_has_none(server, caller):
    """No price is not a price of zero, no window not a window of zero."""
    server.play("GetModel", catalog_service_pb2.GetModelResponse(model={"model_id": "a", "state": 1}))
    assert await caller("get_model", "a") == Model("a")
    await caller("create_model", "a")
    (request,) = server.requests("CreateModel")
    assert request.model == model_pb2.Model(model_id="a", state="MODEL_STATE_ENABLED")
    assert server.requests("GetModel")[0].model_id == "a"


async def test_a_created_router_goes_and_comes_back_whole(server, caller):
    """Zeros included: a default quality of zero is one."""
    server.play("CreateRouter", router_admin_service_pb2.CreateRouterResponse(router=WIRE_ROUTER | TIMES))
    assert await caller("create_router", "chat", **ROUTER_FIELDS) == Router("chat", **ROUTER_FIELDS, **TIMES)
    assert server.requests("CreateRouter") == [router_admin_service_pb2.CreateRouterRequest(router=WIRE_ROUTER)]


async def test_a_router_without_details_has_none(server, caller):
    """What is unset is unset, both ways."""
    server.play("GetRouter", router_admin_service_pb2.GetRouterResponse(router={"router_id": "default"}))
    assert await caller("get_router") == Router("default")
    await caller("create_router", "chat")
    assert server.requests("CreateRouter")[0].router == router_pb2.Router(router_id="chat")
    assert server.requests("GetRouter")[0].router_id == ""


@pytest.mark.parametrize("name", MODEL_FIELDS)
async def test_each_change_of_a_model_names_its_field(server, caller, name):
    """One keyword, one path, one value; the others are neither in the mask nor in the message."""
    path = MODEL_PATHS.get(name, name)
    await caller("update_model", "large", **{name: MODEL_FIELDS[name]})
    (request,) = server.requests("UpdateModel")
    expected = model_pb2.Model(model_id="large", **{path: WIRE_MODEL[path]})
    expected.state = expected.state or model_pb2.MODEL_STATE_ENABLED  # not in the mask, so of no effect
    assert list(request.update_mask.paths) == [path]
    assert request.model == expected


@pytest.mark.parametrize("name", ROUTER_FIELDS)
async def test_each_change_of_a_router_names_its_field(server, caller, name):
    """One keyword, one path, one value."""
    path = {"fallback_model": "fallback_model_id"}.get(name, name)
    await caller("update_router", "chat", **{name: ROUTER_FIELDS[name]})
    (request,) = server.requests("UpdateRouter")
    assert list(request.update_mask.paths) == [path]
    assert request.router == router_pb2.Router(router_id="chat", **{path: WIRE_ROUTER[path]})


@pytest.mark.parametrize("name", [name for name in MODEL_FIELDS if name != "state"])
async def test_none_clears_a_field_of_a_model(server, caller, name):
    """In the mask and unset in the message."""
    path = MODEL_PATHS.get(name, name)
    await caller("update_model", "large", **{name: None})
    (request,) = server.requests("UpdateModel")
    assert list(request.update_mask.paths) == [path]
    assert request.model == model_pb2.Model(model_id="large", state="MODEL_STATE_ENABLED")


@pytest.mark.parametrize("name", ROUTER_FIELDS)
async def test_none_clears_a_field_of_a_router(server, caller, name):
    """In the mask and unset in the message."""
    path = {"fallback_model": "fallback_model_id"}.get(name, name)
    await caller("update_router", "chat", **{name: None})
    (request,) = server.requests("UpdateRouter")
    assert list(request.update_mask.paths) == [path]
    assert request.router == router_pb2.Router(router_id="chat")


async def test_masks_name_real_fields(server, caller):
    """All changes at once make a mask that the messages' own descriptors accept."""
    await caller("update_model", "large", **MODEL_FIELDS)
    await caller("update_router", "chat", **ROUTER_FIELDS)
    model, router = server.received
    assert model.request.update_mask.IsValidForDescriptor(model_pb2.Model.DESCRIPTOR)
    assert router.request.update_mask.IsValidForDescriptor(router_pb2.Router.DESCRIPTOR)


@pytest.mark.parametrize("name", ["update_model", "update_router"])
async def test_an_update_without_a_change_is_refused(server, caller, name):
    """An empty mask reads as "everything" elsewhere."""
    with pytest.raises(ValueError, match="expected at least one change"):
        await caller(name, "x", quality_guess=UNCHANGED)
    assert server.received == []


async def test_lists_run_over_pages(server, caller):
    """Each page is asked for with the token of the one before; the last has none."""
    pages = [(["a", "b"], "t1"), ([], "t2"), (["c"], "")]
    for models, token in pages:
        items = [{"model_id": model, "state": 1} for model in models]
        server.play("ListModels", catalog_service_pb2.ListModelsResponse(models=items, next_page_token=token))
    assert await caller.listed("list_models", page_size=2) == [Model("a"), Model("b"), Model("c")]
    assert [(r.page_size, r.page_token) for r in server.requests("ListModels")] == [(2, ""), (2, "t1"), (2, "t2")]


async def test_lists_fetch_no_page_before_it_is_needed(server, caller):
    """Whoever stops early has asked for no more."""
    await caller.listed("list_routers")
    assert [r.page_token for r in server.requests("ListRouters")] == [""]


async def test_snapshots_are_listed_per_router(server, caller):
    """Newest first, as the server sends them."""
    snapshot = {"router_id": "chat", "policy_version": 7, "create_time": WHEN, "size_bytes": 99, "policy": "linucb"}
    server.play("ListSnapshots", router_admin_service_pb2.ListSnapshotsResponse(snapshots=[snapshot]))
    assert await caller.listed("list_snapshots", "chat") == [Snapshot("chat", 7, WHEN, 99, "linucb")]
    assert server.requests("ListSnapshots")[0].router_id == "chat"


@pytest.mark.parametrize("restored", [False, True])
async def test_a_status_is_a_plain_value(server, caller, restored):
    """The policy, what it believes, and its books, each number in its place."""
    if restored:
        server.play("RestoreSnapshot", router_admin_service_pb2.RestoreSnapshotResponse(status=STATUS))
        status = await caller("restore_snapshot", 9, router="default")
        assert server.requests("RestoreSnapshot")[0].policy_version == 9
    else:
        server.play("GetPolicyStatus", router_admin_service_pb2.GetPolicyStatusResponse(status=STATUS))
        status = await caller("policy_status", "default")
    assert server.received[0].request.router_id == "default"
    assert status == PolicyStatus(
        router="default",
        policy=Policy("linucb", {"alpha": 0.5}),
        policy_version=9,
        state_digest="d" * 32,
        feature_fingerprint="f",
        embedding_dimension=384,
        feature_fit_position=5,
        models=(
            ModelBelief(
                *("a", 1, 2, 3, 4, 5, 0.5, None, 7.0, 0.25),
                unpriced=True,
                probability_sum=8.0,
                probability_min=0.0,
                health=ModelHealth.BACKING_OFF,
                health_until_time=LATER,
                newcomer=True,
                quality_alarm_count=9,
                cost_alarm_count=10,
                latency_alarm_count=11,
                last_alarm_time=WHEN,
            ),
            # What an older server does not send and a newer one sends are both unknown.
            ModelBelief("b", 0, 0, 0, 0, 0, 0.0, None, 0.0, 0.0, health=ModelHealth.UNKNOWN),
        ),
        outcomes=OutcomeBooks(1, 2, 3, 4, 5, 6, 7, 8, 9),
        decisions=DecisionBooks(1, 2, 3, 4, 5),
    )


async def test_deleting_says_nothing(server, caller):
    """The names arrive."""
    assert await caller("delete_model", "a") is None
    assert await caller("delete_router", "chat") is None
    assert server.requests("DeleteModel")[0].model_id == "a"
    assert server.requests("DeleteRouter")[0].router_id == "chat"
