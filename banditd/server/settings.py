"""Changes of catalogue and routers: decided on the writer's thread, where nothing else changes meanwhile."""

from dataclasses import replace

from banditd.catalog.models import MODELS_MAX, SLOT_MAX
from banditd.domain.model import ModelSpec
from banditd.domain.records import ModelChange, Record, Restore, RouterChange
from banditd.domain.router import DEFAULT_ROUTER, ROUTERS_MAX, RouterSpec
from banditd.domain.snapshot import StoredSnapshot
from banditd.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    Reason,
    ResourceExhaustedError,
)
from banditd.features.spec import decode_spec
from banditd.learner.commands import ChangeSettings
from banditd.learner.router_state import RouterState, missing_fits, seeded_start
from banditd.learner.state import LearnerState
from banditd.policies.beliefs.factory import make_belief
from banditd.policies.registry import resolve
from banditd.policies.snapshot_codec import decode_state
from banditd.routing.snapshot import RouterSnapshot


def find_model(state: LearnerState, model_id: str) -> ModelSpec:
    """Return a model; raises NotFoundError."""
    model = state.catalog.get(model_id)
    if model is None:
        raise NotFoundError(Reason.MODEL_NOT_FOUND, f"model_id: there is no model {model_id!r}")
    return model


def find_router(state: LearnerState, router_id: str) -> RouterState:
    """Return a router's state; raises NotFoundError."""
    router = state.routers.get(router_id)
    if router is None:
        raise NotFoundError(Reason.ROUTER_NOT_FOUND, f"router_id: there is no router {router_id!r}")
    return router


def create_model(wanted: ModelSpec, now_ms: int) -> ChangeSettings:
    """Add a model; the same content again changes nothing."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        there = state.catalog.get(wanted.model_id)
        if there is not None:
            same = replace(
                wanted, slot=there.slot, create_time_ms=there.create_time_ms, update_time_ms=there.update_time_ms
            )
            if same == there:
                return ()
            raise AlreadyExistsError(
                Reason.MODEL_EXISTS, f"model.model_id: expected a new name, got {wanted.model_id!r} with other content"
            )
        _check_sibling(state, wanted)
        if len(state.catalog) >= MODELS_MAX:
            raise ResourceExhaustedError(Reason.TOO_MANY_MODELS, f"model: expected at most {MODELS_MAX}, got one more")
        slot = len(state.catalog.names)
        if slot > SLOT_MAX:
            raise ResourceExhaustedError(
                Reason.TOO_MANY_MODELS, f"model: expected at most {SLOT_MAX + 1} models ever made, got one more"
            )
        model = replace(wanted, slot=slot, create_time_ms=now_ms, update_time_ms=now_ms)
        return (ModelChange(model.model_id, slot, model),)

    return ChangeSettings(decide)


def update_model(wanted: ModelSpec, fields: tuple[str, ...], now_ms: int) -> ChangeSettings:
    """Put the values of some fields in the place of the model's."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        there = find_model(state, wanted.model_id)
        if "sibling_model_id" in fields:
            _check_sibling(state, wanted)
        model = replace(there, **{name: getattr(wanted, name) for name in fields}, update_time_ms=now_ms)
        return (ModelChange(model.model_id, model.slot, model),)

    return ChangeSettings(decide)


def _check_sibling(state: LearnerState, model: ModelSpec) -> None:
    sibling = model.sibling_model_id
    if sibling and (sibling == model.model_id or state.catalog.get(sibling) is None):
        raise InvalidArgumentError(
            Reason.UNKNOWN_MODEL, "model.sibling_model_id", "another model of the catalogue", repr(sibling)
        )


def delete_model(model_id: str) -> ChangeSettings:
    """Remove a model that no router names."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        model = find_model(state, model_id)
        for router_id, router in state.routers.items():
            if model_id in router.router.model_ids or model_id == router.router.fallback_model_id:
                raise FailedPreconditionError(
                    Reason.MODEL_IN_USE, f"model_id: router {router_id!r} names {model_id!r}; change the router first"
                )
        return (ModelChange(model_id, model.slot, None),)

    return ChangeSettings(decide)


def create_router(wanted: RouterSpec, now_ms: int) -> ChangeSettings:
    """Add a router; the same content again changes nothing."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        there = state.routers.get(wanted.router_id)
        if there is not None:
            same = replace(
                wanted, create_time_ms=there.router.create_time_ms, update_time_ms=there.router.update_time_ms
            )
            if same == there.router:
                return ()
            raise AlreadyExistsError(
                Reason.ROUTER_EXISTS,
                f"router.router_id: expected a new name, got {wanted.router_id!r} with other content",
            )
        if len(state.routers) >= ROUTERS_MAX:
            raise ResourceExhaustedError(
                Reason.TOO_MANY_ROUTERS, f"router: expected at most {ROUTERS_MAX}, got one more"
            )
        _check_names(wanted)
        router = replace(wanted, create_time_ms=now_ms, update_time_ms=now_ms)
        _check_budget(router)
        return _with_start(state, router)

    return ChangeSettings(decide)


def update_router(wanted: RouterSpec, fields: tuple[str, ...], now_ms: int) -> ChangeSettings:
    """Put the values of some fields in the place of the router's."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        found = find_router(state, wanted.router_id)
        there = found.router
        dimension = there.embedding_dimension
        if "embedding_dimension" in fields and dimension not in (0, wanted.embedding_dimension):
            raise FailedPreconditionError(
                Reason.DIMENSION_FIXED,
                f"router.embedding_dimension: it is fixed at {dimension}; make another router for another embedding",
            )
        router = replace(there, **{name: getattr(wanted, name) for name in fields}, update_time_ms=now_ms)
        _check_names(router)
        _check_budget(router)
        return _with_start(state, router)

    return ChangeSettings(decide)


def _check_names(router: RouterSpec) -> None:
    """Raise where a shadow is called what the policy that decides is."""
    for i, shadow in enumerate(router.shadows):
        if shadow.name == router.policy_name:
            field = f"router.shadows[{i}].name"
            raise InvalidArgumentError(
                Reason.DUPLICATE_POLICY, field, "another name than the deciding policy's", repr(shadow.name)
            )


def _check_budget(router: RouterSpec) -> None:
    if router.budget is None:
        return
    # A shadow may decide one day.
    for spec in (router.policy, *(shadow.policy for shadow in router.shadows)):
        policy = resolve(spec)
        if policy.has_fixed_objective:
            raise FailedPreconditionError(
                Reason.FIXED_OBJECTIVE,
                f"router.budget: {policy.preset} has learnt the router's trade-off and cannot follow the shadow price "
                "of a budget; set the objective's usd_weight, or use a preset that weighs at each request",
            )


def fix_dimension(router_id: str, dimension: int, now_ms: int) -> ChangeSettings:
    """Fix the embedding dimension of a router by its first prompt; nothing changes if another one was quicker."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        there = find_router(state, router_id)
        if there.features is not None:
            return ()
        fixed = there.router.embedding_dimension or dimension
        return _with_start(state, replace(there.router, embedding_dimension=fixed, update_time_ms=now_ms))

    return ChangeSettings(decide)


def started(snapshot: RouterSnapshot, dimension: int) -> RouterSnapshot:
    """Return a router without an encoding as its first prompt would find it: nothing learnt, the seeded start."""
    router = replace(snapshot.router, embedding_dimension=snapshot.router.embedding_dimension or dimension)
    features = decode_spec(seeded_start(router, snapshot.policy.features).spec)
    belief = make_belief(snapshot.policy, features, router, snapshot.models)
    return replace(snapshot, router=router, features=features, belief=belief.freeze(snapshot.models))


def delete_router(router_id: str) -> ChangeSettings:
    """Remove a router and what it has learnt."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        find_router(state, router_id)
        if router_id == DEFAULT_ROUTER:
            raise FailedPreconditionError(Reason.DEFAULT_ROUTER, "router_id: the default router cannot be removed")
        return (RouterChange(router_id, None),)

    return ChangeSettings(decide)


def restore_snapshot(router_id: str, version: int, stored: list[StoredSnapshot]) -> ChangeSettings:
    """Take a router's learnt state back to a stored snapshot."""

    def decide(state: LearnerState) -> tuple[Record, ...]:
        router = find_router(state, router_id)
        found = next((snapshot for snapshot in stored if snapshot.version == version), None)
        if found is None:
            raise NotFoundError(
                Reason.SNAPSHOT_NOT_FOUND, f"policy_version: router {router_id!r} has no stored snapshot {version}"
            )
        # Tried on a copy first: what cannot be loaded is refused, not logged.
        RouterState(router.router, router.policy).load_belief(*decode_state(found.state))
        return (Restore(router_id, found.position, found.state),)

    return ChangeSettings(decide)


def _with_start(state: LearnerState, router: RouterSpec) -> tuple[Record, ...]:
    """Return the change of a router and the seeded starts of the encodings that it lacks from now on."""
    for i, model_id in enumerate(router.model_ids):
        if state.catalog.get(model_id) is None:
            raise InvalidArgumentError(
                Reason.UNKNOWN_MODEL, f"router.model_ids[{i}]", "a model of the catalogue", repr(model_id)
            )
    fallback = router.fallback_model_id
    if fallback and state.catalog.get(fallback) is None:
        raise InvalidArgumentError(
            Reason.UNKNOWN_MODEL, "router.fallback_model_id", "a model of the catalogue", repr(fallback)
        )
    if fallback and router.model_ids and fallback not in router.model_ids:
        raise InvalidArgumentError(
            Reason.UNKNOWN_MODEL, "router.fallback_model_id", "one of router.model_ids", repr(fallback)
        )
    resolve(router.policy, "router.policy")
    starts = missing_fits(router, state.routers.get(router.router_id))
    return (RouterChange(router.router_id, router), *starts)
