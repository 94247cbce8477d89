"""RouterAdminService: the routers, what they have learnt, and the way back to a stored state."""

import asyncio
from typing import Final

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.promotion import SHADOWS_MAX
from banditd.domain.records import Record
from banditd.domain.router import DEFAULT_ROUTER, ROUTER_MODELS_MAX, RouterSpec
from banditd.errors import InvalidArgumentError, NotFoundError, Reason
from banditd.features.spec import DIMENSION_MAX, DIMENSION_MIN
from banditd.learner.commands import ChangeSettings
from banditd.learner.leaderboard import EVIDENCE_MAX, Leaderboard, leaderboard
from banditd.learner.state import LearnerState
from banditd.policies.registry import resolve
from banditd.server import checks, convert, promotions, settings
from banditd.server.bridge import Bridge
from banditd.server.history import check_import, dimension_of
from banditd.server.paging import page_of
from banditd.server.update_mask import masked_fields
from banditd_proto.v1 import policy_pb2, promotion_pb2, router_pb2
from banditd_proto.v1 import router_admin_service_pb2 as pb

_WINDOW_MS_MIN: Final = 1_000
_WINDOW_MS_MAX: Final = 7_776_000_000
_EXPLORATION_SHARE_MIN: Final = 1e-6
_CONFIDENCE: Final = 0.9
_CONFIDENCE_RANGE: Final = (0.5, 0.999)
_ROUTERS_PAGE_MAX: Final = 64
_SNAPSHOTS_PAGE_MAX: Final = 100
_POLICIES_PAGE_MAX: Final = 1 + SHADOWS_MAX
_FIELDS: Final = {
    name: name
    for name in (
        "embedding_dimension",
        "embedding_model",
        "model_ids",
        "policy",
        "objective",
        "switch_usd",
        "fallback_model_id",
        "attribution_window_ms",
        "default_quality",
        "quality_guess",
        "budget",
        "exploration_share",
        "shadows",
        "promotion",
    )
}


class RouterAdminServicer:
    """Serves banditd.v1.RouterAdminService. The event loop's thread only.

    Args:
        bridge: To the writer.
        defaults: A router with the server's settings.
    """

    def __init__(self, bridge: Bridge, defaults: RouterSpec) -> None:
        self._bridge = bridge
        self._defaults = defaults
        self._boards = asyncio.Semaphore(1)

    async def create_router(self, request: pb.CreateRouterRequest) -> pb.CreateRouterResponse:
        """Add a router."""
        router = self._checked(request.router)
        await self._bridge.change(settings.create_router(router, self._bridge.clock.now_ms()))
        return pb.CreateRouterResponse(router=convert.router_message(self._find(router.router_id)))

    async def get_router(self, request: pb.GetRouterRequest) -> pb.GetRouterResponse:
        """Return a router."""
        return pb.GetRouterResponse(router=convert.router_message(self._find(request.router_id or DEFAULT_ROUTER)))

    async def list_routers(self, request: pb.ListRoutersRequest) -> pb.ListRoutersResponse:
        """List the routers."""
        routers = [snapshot.router for snapshot in self._bridge.snapshot.routers.values()]
        page, token = page_of(routers, request.page_size, request.page_token, _ROUTERS_PAGE_MAX)
        return pb.ListRoutersResponse(routers=[convert.router_message(r) for r in page], next_page_token=token)

    async def update_router(self, request: pb.UpdateRouterRequest) -> pb.UpdateRouterResponse:
        """Change a router's settings."""
        fields = masked_fields(request.update_mask.paths, _FIELDS)
        router = self._checked(request.router)
        await self._bridge.change(settings.update_router(router, fields, self._bridge.clock.now_ms()))
        return pb.UpdateRouterResponse(router=convert.router_message(self._find(router.router_id)))

    async def delete_router(self, request: pb.DeleteRouterRequest) -> pb.DeleteRouterResponse:
        """Remove a router."""
        self._find(request.router_id)
        await self._bridge.change(settings.delete_router(request.router_id))
        return pb.DeleteRouterResponse()

    async def get_policy_status(self, request: pb.GetPolicyStatusRequest) -> pb.GetPolicyStatusResponse:
        """Show what a router has learnt."""
        router_id = request.router_id or DEFAULT_ROUTER
        router = self._find(router_id)
        context = checks.check_context(request.context, router) if request.HasField("context") else None
        return pb.GetPolicyStatusResponse(status=await self._status(router_id, context))

    async def get_leaderboard(self, request: pb.GetLeaderboardRequest) -> pb.GetLeaderboardResponse:
        """Show the models by ratings and scores."""
        router_id = request.router_id or DEFAULT_ROUTER
        self._find(router_id)
        category = checks.check_text(request.category, "category")
        confidence = _CONFIDENCE
        if request.HasField("confidence"):
            confidence = checks.check_range(request.confidence, "confidence", *_CONFIDENCE_RANGE)
        # On a thread of its own, and one at a time: it takes seconds where there is much to look at.
        async with self._boards:
            board = await asyncio.to_thread(self._board, router_id, category, confidence)
        names = self._bridge.snapshot.catalog.names
        message = convert.leaderboard_message(board, router_id, category, confidence, names)
        return pb.GetLeaderboardResponse(leaderboard=message)

    def _board(self, router_id: str, category: str, confidence: float) -> Leaderboard:
        log = self._bridge.log
        entries = log.newest_outcomes(router_id, log.last_position + 1, EVIDENCE_MAX)
        snapshot = self._bridge.snapshot.routers.get(router_id)
        slots = [] if snapshot is None else snapshot.slots.tolist()
        return leaderboard(
            entries,
            log.decisions_of(entries),
            slots,
            category=category,
            confidence=confidence,
            truncated=len(entries) == EVIDENCE_MAX,
        )

    async def list_snapshots(self, request: pb.ListSnapshotsRequest) -> pb.ListSnapshotsResponse:
        """List the stored snapshots of a router."""
        router_id = request.router_id or DEFAULT_ROUTER
        self._find(router_id)
        stored = self._bridge.snapshots.of_router(router_id)
        page, token = page_of(stored, request.page_size, request.page_token, _SNAPSHOTS_PAGE_MAX)
        return pb.ListSnapshotsResponse(snapshots=[convert.snapshot_message(s) for s in page], next_page_token=token)

    async def restore_snapshot(self, request: pb.RestoreSnapshotRequest) -> pb.RestoreSnapshotResponse:
        """Take a router's learnt state back to a stored snapshot."""
        router_id = request.router_id or DEFAULT_ROUTER
        self._find(router_id)
        stored = self._bridge.snapshots.of_router(router_id)
        await self._bridge.change(settings.restore_snapshot(router_id, request.policy_version, stored))
        return pb.RestoreSnapshotResponse(status=await self._status(router_id))

    async def import_history(self, request: pb.ImportHistoryRequest) -> pb.ImportHistoryResponse:
        """Teach a router what was seen before it decided."""
        router_id = request.router_id or DEFAULT_ROUTER
        self._find(router_id)
        command = check_import(request, self._bridge.snapshot.routers[router_id], self._bridge.snapshot.catalog)
        dimension = dimension_of(command)
        if dimension and self._bridge.snapshot.routers[router_id].features is None:
            await self._bridge.change(settings.fix_dimension(router_id, dimension, self._bridge.clock.now_ms()))
            # Another first prompt may have been quicker.
            checks.check_dimension(dimension, self._find(router_id).embedding_dimension, "rows")
        learnt = await self._bridge.learn(command)
        return pb.ImportHistoryResponse(learnt_count=learnt, duplicate_count=len(request.rows) - learnt)

    async def list_policies(self, request: pb.ListPoliciesRequest) -> pb.ListPoliciesResponse:
        """List a router's policies and how they compare."""
        router_id = request.router_id or DEFAULT_ROUTER
        self._find(router_id)
        found: list[promotion_pb2.ListedPolicy] = []

        def look(state: LearnerState) -> tuple[Record, ...]:
            router = settings.find_router(state, router_id)
            found.extend(promotions.listed_policies(router, self._bridge.clock.now_ms()))
            return ()

        await self._bridge.change(ChangeSettings(look))
        page, token = page_of(found, request.page_size, request.page_token, _POLICIES_PAGE_MAX)
        return pb.ListPoliciesResponse(policies=page, next_page_token=token)

    async def promote_policy(self, request: pb.PromotePolicyRequest) -> pb.PromotePolicyResponse:
        """Let a shadow decide."""
        router_id = request.router_id or DEFAULT_ROUTER
        self._find(router_id)
        name = checks.check_name(request.name, "name", checks.ROUTER_ID, Reason.BAD_NAME)
        reason = checks.check_text(request.reason, "reason")
        await self._bridge.change(promotions.promote_policy(router_id, name, reason, self._bridge.clock.now_ms()))
        return pb.PromotePolicyResponse(router=convert.router_message(self._find(router_id)))

    async def rollback_policy(self, request: pb.RollbackPolicyRequest) -> pb.RollbackPolicyResponse:
        """Let the policy decide again that did before the last promotion."""
        router_id = request.router_id or DEFAULT_ROUTER
        self._find(router_id)
        reason = checks.check_text(request.reason, "reason")
        await self._bridge.change(promotions.rollback_policy(router_id, reason, self._bridge.clock.now_ms()))
        return pb.RollbackPolicyResponse(router=convert.router_message(self._find(router_id)))

    async def _status(self, router_id: str, context: Context | None = None) -> policy_pb2.PolicyStatus:
        """Return the status, made on the writer's thread, where the state does not change meanwhile."""
        found: list[policy_pb2.PolicyStatus] = []

        def look(state: LearnerState) -> tuple[Record, ...]:
            router = settings.find_router(state, router_id)
            books = self._bridge.books.all()
            found.append(convert.policy_status(router, state.catalog, books, state.health, context))
            return ()

        await self._bridge.change(ChangeSettings(look))
        return found[0]

    def _find(self, router_id: str) -> RouterSpec:
        snapshot = self._bridge.snapshot.routers.get(router_id)
        if snapshot is None:
            checks.check_name(router_id, "router_id", checks.ROUTER_ID, Reason.BAD_NAME)
            raise NotFoundError(Reason.ROUTER_NOT_FOUND, f"router_id: there is no router {router_id!r}")
        return snapshot.router

    def _checked(self, message: router_pb2.Router) -> RouterSpec:
        """Return the router of a message, with the server's settings where it says nothing."""
        checks.check_name(message.router_id, "router.router_id", checks.ROUTER_ID, Reason.BAD_NAME)
        dimension = message.embedding_dimension
        if dimension != 0:
            checks.check_range(dimension, "router.embedding_dimension", DIMENSION_MIN, DIMENSION_MAX)
        policy = self._defaults.policy
        if message.HasField("policy"):
            policy = promotions.policy_spec(message.policy)
        resolve(policy, "router.policy")
        window = message.attribution_window_ms or self._defaults.attribution_window_ms
        checks.check_range(window, "router.attribution_window_ms", _WINDOW_MS_MIN, _WINDOW_MS_MAX)
        default_quality = None
        if message.HasField("default_quality"):
            default_quality = checks.check_range(message.default_quality, "router.default_quality", 0.0, 1.0)
        if message.fallback_model_id:
            checks.check_name(message.fallback_model_id, "router.fallback_model_id", checks.MODEL_ID, Reason.BAD_NAME)
        quality_guess = self._defaults.quality_guess
        if message.HasField("quality_guess"):
            quality_guess = checks.check_range(message.quality_guess, "router.quality_guess", 0.0, 1.0)
        exploration_share = self._defaults.exploration_share
        if message.HasField("exploration_share"):
            exploration_share = checks.check_range(
                message.exploration_share, "router.exploration_share", _EXPLORATION_SHARE_MIN, 1.0
            )
        return RouterSpec(
            router_id=message.router_id,
            policy=policy,
            embedding_dimension=dimension,
            embedding_model=checks.check_text(message.embedding_model, "router.embedding_model"),
            model_ids=_model_ids(message),
            objective=checks.check_objective(message.objective, "router.objective", Objective()),
            switch_usd=checks.check_range(message.switch_usd, "router.switch_usd", 0.0, checks.COST_USD_MAX),
            fallback_model_id=message.fallback_model_id,
            attribution_window_ms=window,
            default_quality=default_quality,
            quality_guess=quality_guess,
            budget=checks.check_budget(message.budget, "router.budget") if message.HasField("budget") else None,
            exploration_share=exploration_share,
            shadows=promotions.check_shadows(message.shadows),
            promotion=promotions.check_rule(message.promotion),
        )


def _model_ids(message: router_pb2.Router) -> tuple[str, ...]:
    model_ids = tuple(message.model_ids)
    if len(model_ids) > ROUTER_MODELS_MAX:
        raise InvalidArgumentError(
            Reason.TOO_MANY_CANDIDATES, "router.model_ids", f"at most {ROUTER_MODELS_MAX}", f"{len(model_ids)}"
        )
    for i, model_id in enumerate(model_ids):
        checks.check_name(model_id, f"router.model_ids[{i}]", checks.MODEL_ID, Reason.BAD_NAME)
    if len(set(model_ids)) != len(model_ids):
        raise InvalidArgumentError(Reason.DUPLICATE_MODEL, "router.model_ids", "each model once", "one of them twice")
    return model_ids
