"""Every rpc as a value: what is sent, how the answer is read, whether it may be sent again.

Both clients perform these; they differ only in how they wait.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import uuid4

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from banditd_client import convert, convert_admin
from banditd_client.admin_types import Leaderboard, Model, PolicyStatus, Router, Snapshot
from banditd_client.batch import RouteBatch
from banditd_client.enums import OutcomeStatus, Unchanged
from banditd_client.errors import BanditdError, DeadlineExceeded, NotFound, Unavailable
from banditd_client.fallback import fallback_batch, fallback_route
from banditd_client.history import ImportResult, Portion
from banditd_client.policy_types import ListedPolicy
from banditd_client.types import Comparison, Decision, Limits, Objective, Outcome, OutcomeResult, Route
from banditd_client.vectors import Embedding, Embeddings, float32_bytes, float32_rows
from banditd_proto.v1 import (
    catalog_service_pb2,
    context_pb2,
    router_admin_service_pb2,
    routing_service_pb2,
)

T = TypeVar("T")

# What a keyword of update_model and update_router is called on the wire, where that differs.
_WIRE_NAMES = {
    "context_window_tokens": "context_window_token_count",
    "sibling_model": "sibling_model_id",
    "fallback_model": "fallback_model_id",
}


@dataclass(frozen=True, slots=True)
class Method:
    """Where a call goes and what comes back."""

    path: str
    response_class: type[Message]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call, complete. Sending it twice has the effect of sending it once, unless it is not `repeatable`."""

    method: Method
    request: Message
    read: Callable[[Any], T]
    repeatable: bool = True
    gone_is_done: bool = False
    """Whether NOT_FOUND after a try that failed means that the failed one did the work."""
    stand_in: Callable[[str], T | None] | None = None
    """Makes the answer of a fallback model if the server is out of reach; None if this call must not have that one."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; an empty token means that it was the last."""

    items: Sequence[T]
    next_token: str


def _methods() -> dict[str, Method]:
    """Return every method by its name, which is unique across the services."""
    files: tuple[FileDescriptor, ...] = (
        routing_service_pb2.DESCRIPTOR,
        catalog_service_pb2.DESCRIPTOR,
        router_admin_service_pb2.DESCRIPTOR,
    )
    descriptors: list[MethodDescriptor] = [
        method for file in files for service in file.services_by_name.values() for method in service.methods
    ]
    return {
        method.name: Method(
            f"/{method.containing_service.full_name}/{method.name}", GetMessageClass(method.output_type)
        )
        for method in descriptors
    }


METHODS = _methods()


def route(
    embedding: Embedding | None,
    *,
    router: str,
    request_id: str | None,
    input_tokens: int | None,
    category: str,
    session: str,
    embedding_model: str,
    candidates: Iterable[str],
    limits: Limits | None,
    objective: Objective | None,
    compare: bool,
) -> Call[Route]:
    """Return the call of Route."""
    usable = convert.names(candidates, "candidates")
    context = context_pb2.Context(
        embedding_float32=None if embedding is None else float32_bytes(embedding),
        embedding_model=embedding_model,
        input_token_count=input_tokens,
        category=category,
        session_id=session,
    )
    request = routing_service_pb2.RouteRequest(
        router_id=router,
        request_id=request_id or new_id(),
        context=context,
        candidate_model_ids=usable,
        limits=convert.limits_to_wire(limits),
        objective=convert.objective_to_wire(objective),
        compare=compare,
    )

    def stand_in(model: str) -> Route | None:
        return fallback_route(model) if not usable or model in usable else None

    return Call(METHODS["Route"], request, convert.route_from_wire, stand_in=stand_in)


def route_batch(
    embeddings: Embeddings,
    *,
    router: str,
    request_id: str | None,
    input_tokens: Iterable[int | None] | None,
    categories: Iterable[str],
    sessions: Iterable[str],
    embedding_model: str,
    candidates: Iterable[str],
    limits: Limits | None,
    objective: Objective | None,
    compare: bool,
) -> Call[RouteBatch]:
    """Return the call of RouteBatch."""
    packed, row_count = float32_rows(embeddings)
    usable = convert.names(candidates, "candidates")
    request = routing_service_pb2.RouteBatchRequest(
        router_id=router,
        request_id=request_id or new_id(),
        embeddings_float32=packed,
        row_count=row_count,
        embedding_model=embedding_model,
        input_token_counts=(-1 if tokens is None else int(tokens) for tokens in input_tokens or ()),
        categories=convert.names(categories, "categories"),
        session_ids=convert.names(sessions, "sessions"),
        candidate_model_ids=usable,
        limits=convert.limits_to_wire(limits),
        objective=convert.objective_to_wire(objective),
        compare=compare,
    )

    def stand_in(model: str) -> RouteBatch | None:
        return fallback_batch(model, row_count) if not usable or model in usable else None

    return Call(METHODS["RouteBatch"], request, convert.batch_from_wire, stand_in=stand_in)


def report_decision(
    embedding: Embedding | None,
    model: str,
    propensities: Mapping[str, float],
    *,
    router: str,
    request_id: str | None,
    input_tokens: int | None,
    category: str,
    session: str,
    embedding_model: str,
    objective: Objective | None,
) -> Call[str]:
    """Return the call of ReportDecision."""
    request = routing_service_pb2.ReportDecisionRequest(
        router_id=router,
        request_id=new_id() if request_id is None else request_id,
        context=context_pb2.Context(
            embedding_float32=None if embedding is None else float32_bytes(embedding),
            embedding_model=embedding_model,
            input_token_count=input_tokens,
            category=category,
            session_id=session,
        ),
        model_id=model,
        propensities=[
            routing_service_pb2.ModelPropensity(model_id=model_id, propensity=propensity)
            for model_id, propensity in propensities.items()
        ],
        objective=convert.objective_to_wire(objective),
    )
    return Call(METHODS["ReportDecision"], request, lambda response: str(response.decision_id))


def record_outcome(outcome: Outcome) -> Call[OutcomeStatus]:
    """Return the call of RecordOutcome."""
    request = routing_service_pb2.RecordOutcomeRequest(outcome=convert.outcome_to_wire(_named(outcome)))
    return Call(METHODS["RecordOutcome"], request, convert.outcome_status_from_wire)


def record_outcomes(outcomes: Sequence[Outcome]) -> Call[list[OutcomeResult]]:
    """Return the call of RecordOutcomes."""
    messages = [convert.outcome_to_wire(_named(outcome)) for outcome in outcomes]
    request = routing_service_pb2.RecordOutcomesRequest(outcomes=messages)
    read = partial(convert.outcome_results_from_wire, outcome_count=len(messages))
    return Call(METHODS["RecordOutcomes"], request, read)


def record_comparison(
    comparison: Comparison,
    *,
    decision_id: str,
    embedding: Embedding | None,
    router: str,
    input_tokens: int | None,
    category: str,
    embedding_model: str,
) -> Call[OutcomeStatus]:
    """Return the call of RecordComparison."""
    context = None
    if not decision_id:
        context = context_pb2.Context(
            embedding_float32=None if embedding is None else float32_bytes(embedding),
            embedding_model=embedding_model,
            input_token_count=input_tokens,
            category=category,
        )
    elif embedding is not None:
        raise ValueError("embedding: expected none beside a decision id")
    # Before the first try, so that a retry counts once.
    named = comparison if comparison.comparison_id else replace(comparison, comparison_id=new_id())
    message = convert.comparison_to_wire(named, decision_id=decision_id, context=context, router=router)
    request = routing_service_pb2.RecordComparisonRequest(comparison=message)
    return Call(METHODS["RecordComparison"], request, convert.outcome_status_from_wire)


def get_decision(decision_id: str) -> Call[Decision]:
    """Return the call of GetDecision."""
    request = routing_service_pb2.GetDecisionRequest(decision_id=decision_id)
    return Call(METHODS["GetDecision"], request, lambda response: convert.decision_from_wire(response.decision))


def create_model(model: Model) -> Call[Model]:
    """Return the call of CreateModel."""
    request = catalog_service_pb2.CreateModelRequest(model=convert_admin.model_to_wire(model))
    return Call(METHODS["CreateModel"], request, _read_model)


def get_model(model_id: str) -> Call[Model]:
    """Return the call of GetModel."""
    return Call(METHODS["GetModel"], catalog_service_pb2.GetModelRequest(model_id=model_id), _read_model)


def list_models(page_size: int, page_token: str) -> Call[Page[Model]]:
    """Return the call of ListModels for one page."""
    request = catalog_service_pb2.ListModelsRequest(page_size=page_size, page_token=page_token)
    return Call(METHODS["ListModels"], request, _page_reader("models", convert_admin.model_from_wire))


def update_model(model_id: str, changes: Mapping[str, object]) -> Call[Model]:
    """Return the call of UpdateModel; UNCHANGED values are left out, None values cleared."""
    mask, values = _changes(changes)
    model = Model(model_id, **values)
    request = catalog_service_pb2.UpdateModelRequest(model=convert_admin.model_to_wire(model), update_mask=mask)
    return Call(METHODS["UpdateModel"], request, _read_model)


def delete_model(model_id: str) -> Call[None]:
    """Return the call of DeleteModel."""
    request = catalog_service_pb2.DeleteModelRequest(model_id=model_id)
    return Call(METHODS["DeleteModel"], request, _read_nothing, gone_is_done=True)


def create_router(router: Router) -> Call[Router]:
    """Return the call of CreateRouter."""
    request = router_admin_service_pb2.CreateRouterRequest(router=convert_admin.router_to_wire(router))
    return Call(METHODS["CreateRouter"], request, _read_router)


def get_router(router: str) -> Call[Router]:
    """Return the call of GetRouter."""
    return Call(METHODS["GetRouter"], router_admin_service_pb2.GetRouterRequest(router_id=router), _read_router)


def list_routers(page_size: int, page_token: str) -> Call[Page[Router]]:
    """Return the call of ListRouters for one page."""
    request = router_admin_service_pb2.ListRoutersRequest(page_size=page_size, page_token=page_token)
    return Call(METHODS["ListRouters"], request, _page_reader("routers", convert_admin.router_from_wire))


def update_router(router: str, changes: Mapping[str, object]) -> Call[Router]:
    """Return the call of UpdateRouter; UNCHANGED values are left out, None values cleared."""
    mask, values = _changes(changes)
    message = convert_admin.router_to_wire(Router(router, **values))
    request = router_admin_service_pb2.UpdateRouterRequest(router=message, update_mask=mask)
    return Call(METHODS["UpdateRouter"], request, _read_router)


def delete_router(router: str) -> Call[None]:
    """Return the call of DeleteRouter."""
    request = router_admin_service_pb2.DeleteRouterRequest(router_id=router)
    return Call(METHODS["DeleteRouter"], request, _read_nothing, gone_is_done=True)


def policy_status(
    router: str, embedding: Embedding | None, input_tokens: int | None, category: str
) -> Call[PolicyStatus]:
    """Return the call of GetPolicyStatus."""
    context = None
    if embedding is not None:
        context = context_pb2.Context(
            embedding_float32=float32_bytes(embedding), input_token_count=input_tokens, category=category
        )
    request = router_admin_service_pb2.GetPolicyStatusRequest(router_id=router, context=context)
    return Call(METHODS["GetPolicyStatus"], request, _read_status)


def leaderboard(router: str, category: str, confidence: float | None) -> Call[Leaderboard]:
    """Return the call of GetLeaderboard."""
    request = router_admin_service_pb2.GetLeaderboardRequest(router_id=router, category=category, confidence=confidence)
    return Call(
        METHODS["GetLeaderboard"],
        request,
        lambda response: convert_admin.leaderboard_from_wire(response.leaderboard),
    )


def list_snapshots(router: str, page_size: int, page_token: str) -> Call[Page[Snapshot]]:
    """Return the call of ListSnapshots for one page."""
    request = router_admin_service_pb2.ListSnapshotsRequest(
        router_id=router, page_size=page_size, page_token=page_token
    )
    return Call(METHODS["ListSnapshots"], request, _page_reader("snapshots", convert_admin.snapshot_from_wire))


def restore_snapshot(policy_version: int, router: str) -> Call[PolicyStatus]:
    """Return the call of RestoreSnapshot, which is never repeated: it would undo what was learnt since the first."""
    request = router_admin_service_pb2.RestoreSnapshotRequest(router_id=router, policy_version=policy_version)
    return Call(METHODS["RestoreSnapshot"], request, _read_status, repeatable=False)


def import_history(portion: Portion, *, import_id: str, router: str, weight: float | None) -> Call[ImportResult]:
    """Return the call of ImportHistory for one portion of the rows."""
    request = router_admin_service_pb2.ImportHistoryRequest(
        router_id=router, import_id=import_id, row_position=portion.first_row, row_weight=weight, rows=portion.rows
    )
    return Call(METHODS["ImportHistory"], request, lambda r: ImportResult(r.learnt_count, r.duplicate_count))


def list_policies(router: str, page_size: int, page_token: str) -> Call[Page[ListedPolicy]]:
    """Return the call of ListPolicies for one page."""
    request = router_admin_service_pb2.ListPoliciesRequest(router_id=router, page_size=page_size, page_token=page_token)
    return Call(METHODS["ListPolicies"], request, _page_reader("policies", convert_admin.listed_policy_from_wire))


def promote_policy(name: str, router: str, reason: str) -> Call[Router]:
    """Return the call of PromotePolicy, which is never repeated: the rule may have decided otherwise in between."""
    request = router_admin_service_pb2.PromotePolicyRequest(router_id=router, name=name, reason=reason)
    return Call(METHODS["PromotePolicy"], request, _read_router, repeatable=False)


def rollback_policy(router: str, reason: str) -> Call[Router]:
    """Return the call of RollbackPolicy, which is never repeated, like `promote_policy`."""
    request = router_admin_service_pb2.RollbackPolicyRequest(router_id=router, reason=reason)
    return Call(METHODS["RollbackPolicy"], request, _read_router, repeatable=False)


def concluded(call: Call[T], error: BanditdError, failed_count: int, fallback_model: str | None) -> T:
    """Return the answer that *call* has in spite of its last *error*; raise that if it has none."""
    if call.gone_is_done and failed_count > 1 and isinstance(error, NotFound):
        return call.read(None)
    # Only out of reach: any other error is an answer of the router, which a fallback must not hide.
    if call.stand_in and fallback_model is not None and isinstance(error, (Unavailable, DeadlineExceeded)):
        answer = call.stand_in(fallback_model)
        if answer is not None:
            return answer
    raise error


def new_id() -> str:
    """Return an id that nobody else makes."""
    return uuid4().hex


def sendable(outcomes: Iterable[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Return all outcomes, and those of them whose decision a server knows."""
    everything = list(outcomes)
    return everything, [outcome for outcome in everything if outcome.decision_id]


def merged(outcomes: Sequence[Outcome], results: Iterable[OutcomeResult]) -> list[OutcomeResult]:
    """Return one result per outcome: NOT_SENT for what was held back, the server's results for the others."""
    rest = iter(results)
    return [next(rest) if outcome.decision_id else OutcomeResult(OutcomeStatus.NOT_SENT) for outcome in outcomes]


def _named(outcome: Outcome) -> Outcome:
    """Give the outcome an id before the first try, so that a retry counts once."""
    return outcome if outcome.outcome_id else replace(outcome, outcome_id=new_id())


def _changes(changes: Mapping[str, object]) -> tuple[FieldMask, dict[str, Any]]:
    """Return the mask, and what is to be set. ValueError if nothing changes: an empty mask reads as "everything"."""
    changed = {name: value for name, value in changes.items() if not isinstance(value, Unchanged)}
    if not changed:
        raise ValueError("update: expected at least one change, got none")
    mask = FieldMask(paths=[_WIRE_NAMES.get(name, name) for name in changed])
    return mask, {name: value for name, value in changed.items() if value is not None}


def _page_reader(field: str, read: Callable[[Any], T]) -> Callable[[Any], Page[T]]:
    return lambda response: Page([read(item) for item in getattr(response, field)], response.next_page_token)


def _read_model(response: Any) -> Model:
    return convert_admin.model_from_wire(response.model)


def _read_router(response: Any) -> Router:
    return convert_admin.router_from_wire(response.router)


def _read_status(response: Any) -> PolicyStatus:
    return convert_admin.policy_status_from_wire(response.status)


def _read_nothing(response: Any) -> None:
    del response
