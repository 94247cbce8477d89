"""The client for asyncio."""
# ruff: noqa: ASYNC109 (a timeout here is the deadline that the server is told, which asyncio.timeout cannot do)

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from banditd_client import calls, convert
from banditd_client.admin_types import (
    Budget,
    Leaderboard,
    Model,
    Policy,
    PolicyStatus,
    Price,
    PromotionRule,
    Router,
    Snapshot,
)
from banditd_client.batch import RouteBatch
from banditd_client.calls import Call, Method, Page, concluded
from banditd_client.channel import ChannelOptions, channel_options
from banditd_client.enums import UNCHANGED, Failure, ModelState, OutcomeStatus, Unchanged
from banditd_client.errors import BanditdError, from_rpc_error, renumbered
from banditd_client.history import HistoryRow, ImportResult, portions
from banditd_client.measure import MeasuredCall, measure_async
from banditd_client.policy_types import ListedPolicy
from banditd_client.retry import Attempts, RetryPolicy
from banditd_client.settings import Settings, checked_timeout
from banditd_client.types import Comparison, Decision, Limits, Objective, Outcome, OutcomeResult, Route
from banditd_client.vectors import Embedding, Embeddings

T = TypeVar("T")


class AsyncClient:
    """A connection to a banditd server for the tasks of one event loop, that of the first call, which also connects.

    The same calls as `Client`; see there.
    """

    def __init__(
        self,
        target: str,
        *,
        fallback_model: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        route_timeout: float = 1.0,
        timeout: float = 5.0,
        retry: RetryPolicy | None = None,
        options: ChannelOptions = (),
    ) -> None:
        """As `Client`."""
        self._settings = Settings(fallback_model, route_timeout, timeout, retry or RetryPolicy())
        self._target = target
        self._credentials = credentials
        self._options = channel_options(options)
        self._closed = False
        # Made by the first call: grpc.aio binds a channel to an event loop at once, and clients are often made before
        # there is one.
        self._channel: grpc.aio.Channel | None = None
        self._stubs: dict[Method, Callable[..., Any]] = {}

    async def close(self) -> None:
        """Close the connection; running calls are cancelled."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def route(
        self,
        embedding: Embedding | None,
        *,
        router: str = "",
        request_id: str | None = None,
        input_tokens: int | None = None,
        category: str = "",
        session: str = "",
        embedding_model: str = "",
        candidates: Iterable[str] = (),
        limits: Limits | None = None,
        objective: Objective | None = None,
        compare: bool = False,
        timeout: float | None = None,
    ) -> Route:
        """As `Client.route`."""
        call = calls.route(
            embedding,
            router=router,
            request_id=request_id,
            input_tokens=input_tokens,
            category=category,
            session=session,
            embedding_model=embedding_model,
            candidates=candidates,
            limits=limits,
            objective=objective,
            compare=compare,
        )
        return await self._perform(call, self._settings.route_timeout if timeout is None else timeout)

    async def route_batch(
        self,
        embeddings: Embeddings,
        *,
        router: str = "",
        request_id: str | None = None,
        input_tokens: Iterable[int | None] | None = None,
        categories: Iterable[str] = (),
        sessions: Iterable[str] = (),
        embedding_model: str = "",
        candidates: Iterable[str] = (),
        limits: Limits | None = None,
        objective: Objective | None = None,
        compare: bool = False,
        timeout: float | None = None,
    ) -> RouteBatch:
        """As `Client.route_batch`."""
        call = calls.route_batch(
            embeddings,
            router=router,
            request_id=request_id,
            input_tokens=input_tokens,
            categories=categories,
            sessions=sessions,
            embedding_model=embedding_model,
            candidates=candidates,
            limits=limits,
            objective=objective,
            compare=compare,
        )
        return await self._perform(call, timeout)

    async def report_decision(
        self,
        embedding: Embedding | None,
        model: str,
        propensities: Mapping[str, float],
        *,
        router: str = "",
        request_id: str | None = None,
        input_tokens: int | None = None,
        category: str = "",
        session: str = "",
        embedding_model: str = "",
        objective: Objective | None = None,
        timeout: float | None = None,
    ) -> str:
        """As `Client.report_decision`."""
        call = calls.report_decision(
            embedding,
            model,
            propensities,
            router=router,
            request_id=request_id,
            input_tokens=input_tokens,
            category=category,
            session=session,
            embedding_model=embedding_model,
            objective=objective,
        )
        return await self._perform(call, timeout)

    async def record_outcome(
        self,
        decision_id: str,
        *,
        outcome_id: str | None = None,
        quality: float | None = None,
        cost_usd: float | None = None,
        input_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        output_tokens: int | None = None,
        latency_ms: float | None = None,
        failure: Failure | None = None,
        served_model: str = "",
        observed_at: datetime | None = None,
        timeout: float | None = None,
    ) -> OutcomeStatus:
        """As `Client.record_outcome`."""
        outcome = Outcome(
            decision_id=decision_id,
            outcome_id=outcome_id or "",
            quality=quality,
            cost_usd=cost_usd,
            input_tokens=input_tokens,
            cached_input_tokens=cached_input_tokens,
            output_tokens=output_tokens,
            latency_ms=latency_ms,
            failure=failure,
            served_model=served_model,
            observed_at=observed_at,
        )
        return await self._record(outcome, timeout)

    async def record_outcomes(
        self, outcomes: Iterable[Outcome], *, timeout: float | None = None
    ) -> list[OutcomeResult]:
        """As `Client.record_outcomes`."""
        everything, known = calls.sendable(outcomes)
        results = await self._perform(calls.record_outcomes(known), timeout) if known else []
        return calls.merged(everything, results)

    async def record_comparison(
        self,
        comparison: Comparison,
        *,
        decision_id: str = "",
        embedding: Embedding | None = None,
        router: str = "",
        input_tokens: int | None = None,
        category: str = "",
        embedding_model: str = "",
        timeout: float | None = None,
    ) -> OutcomeStatus:
        """As `Client.record_comparison`."""
        call = calls.record_comparison(
            comparison,
            decision_id=decision_id,
            embedding=embedding,
            router=router,
            input_tokens=input_tokens,
            category=category,
            embedding_model=embedding_model,
        )
        return await self._perform(call, timeout)

    def measure(self, route: Route, *, timeout: float | None = None) -> AbstractAsyncContextManager[MeasuredCall]:
        """As `Client.measure`, for `async with`. A cancelled body reports nothing: that is not the model's fault."""
        return measure_async(route, lambda outcome: self._record(outcome, timeout))

    async def get_decision(self, decision_id: str, *, timeout: float | None = None) -> Decision:
        """As `Client.get_decision`."""
        return await self._perform(calls.get_decision(decision_id), timeout)

    async def create_model(
        self,
        model_id: str,
        *,
        price: Price | None = None,
        context_window_tokens: int | None = None,
        tags: Iterable[str] = (),
        state: ModelState = ModelState.ENABLED,
        quality_guess: float | None = None,
        latency_ms_guess: float | None = None,
        sibling_model: str = "",
        timeout: float | None = None,
    ) -> Model:
        """As `Client.create_model`."""
        model = Model(
            model_id=model_id,
            price=price,
            context_window_tokens=context_window_tokens,
            tags=tuple(convert.names(tags, "tags")),
            state=state,
            quality_guess=quality_guess,
            latency_ms_guess=latency_ms_guess,
            sibling_model=sibling_model,
        )
        return await self._perform(calls.create_model(model), timeout)

    async def get_model(self, model_id: str, *, timeout: float | None = None) -> Model:
        """As `Client.get_model`."""
        return await self._perform(calls.get_model(model_id), timeout)

    def list_models(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Model]:
        """As `Client.list_models`."""
        return self._pages(lambda token: calls.list_models(page_size, token), timeout)

    async def update_model(
        self,
        model_id: str,
        *,
        price: Price | Unchanged | None = UNCHANGED,
        context_window_tokens: int | Unchanged | None = UNCHANGED,
        tags: Iterable[str] | Unchanged | None = UNCHANGED,
        state: ModelState | Unchanged = UNCHANGED,
        quality_guess: float | Unchanged | None = UNCHANGED,
        latency_ms_guess: float | Unchanged | None = UNCHANGED,
        sibling_model: str | Unchanged | None = UNCHANGED,
        timeout: float | None = None,
    ) -> Model:
        """As `Client.update_model`."""
        changes = {
            "price": price,
            "context_window_tokens": context_window_tokens,
            "tags": tags,
            "state": state,
            "quality_guess": quality_guess,
            "latency_ms_guess": latency_ms_guess,
            "sibling_model": sibling_model,
        }
        return await self._perform(calls.update_model(model_id, changes), timeout)

    async def delete_model(self, model_id: str, *, timeout: float | None = None) -> None:
        """As `Client.delete_model`."""
        return await self._perform(calls.delete_model(model_id), timeout)

    async def create_router(
        self,
        router_id: str,
        *,
        embedding_dimension: int | None = None,
        embedding_model: str = "",
        model_ids: Iterable[str] = (),
        policy: Policy | None = None,
        objective: Objective | None = None,
        switch_usd: float = 0.0,
        budget: Budget | None = None,
        exploration_share: float | None = None,
        fallback_model: str = "",
        attribution_window_ms: int | None = None,
        default_quality: float | None = None,
        quality_guess: float | None = None,
        shadows: Mapping[str, Policy] | None = None,
        promotion: PromotionRule | None = None,
        timeout: float | None = None,
    ) -> Router:
        """As `Client.create_router`."""
        router = Router(
            router_id=router_id,
            embedding_dimension=embedding_dimension,
            embedding_model=embedding_model,
            model_ids=tuple(convert.names(model_ids, "model_ids")),
            policy=policy,
            objective=objective,
            switch_usd=switch_usd,
            budget=budget,
            exploration_share=exploration_share,
            fallback_model=fallback_model,
            attribution_window_ms=attribution_window_ms,
            default_quality=default_quality,
            quality_guess=quality_guess,
            shadows=shadows or {},
            promotion=promotion,
        )
        return await self._perform(calls.create_router(router), timeout)

    async def get_router(self, router: str = "", *, timeout: float | None = None) -> Router:
        """As `Client.get_router`."""
        return await self._perform(calls.get_router(router), timeout)

    def list_routers(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Router]:
        """As `Client.list_routers`."""
        return self._pages(lambda token: calls.list_routers(page_size, token), timeout)

    async def update_router(
        self,
        router_id: str,
        *,
        embedding_dimension: int | Unchanged | None = UNCHANGED,
        embedding_model: str | Unchanged | None = UNCHANGED,
        model_ids: Iterable[str] | Unchanged | None = UNCHANGED,
        policy: Policy | Unchanged | None = UNCHANGED,
        objective: Objective | Unchanged | None = UNCHANGED,
        switch_usd: float | Unchanged | None = UNCHANGED,
        budget: Budget | Unchanged | None = UNCHANGED,
        exploration_share: float | Unchanged | None = UNCHANGED,
        fallback_model: str | Unchanged | None = UNCHANGED,
        attribution_window_ms: int | Unchanged | None = UNCHANGED,
        default_quality: float | Unchanged | None = UNCHANGED,
        quality_guess: float | Unchanged | None = UNCHANGED,
        shadows: Mapping[str, Policy] | Unchanged | None = UNCHANGED,
        promotion: PromotionRule | Unchanged | None = UNCHANGED,
        timeout: float | None = None,
    ) -> Router:
        """As `Client.update_router`."""
        changes = {
            "embedding_dimension": embedding_dimension,
            "embedding_model": embedding_model,
            "model_ids": model_ids,
            "policy": policy,
            "objective": objective,
            "switch_usd": switch_usd,
            "budget": budget,
            "exploration_share": exploration_share,
            "fallback_model": fallback_model,
            "attribution_window_ms": attribution_window_ms,
            "default_quality": default_quality,
            "quality_guess": quality_guess,
            "shadows": shadows,
            "promotion": promotion,
        }
        return await self._perform(calls.update_router(router_id, changes), timeout)

    async def delete_router(self, router_id: str, *, timeout: float | None = None) -> None:
        """As `Client.delete_router`."""
        return await self._perform(calls.delete_router(router_id), timeout)

    async def policy_status(
        self,
        router: str = "",
        *,
        embedding: Embedding | None = None,
        input_tokens: int | None = None,
        category: str = "",
        timeout: float | None = None,
    ) -> PolicyStatus:
        """As `Client.policy_status`."""
        return await self._perform(calls.policy_status(router, embedding, input_tokens, category), timeout)

    async def leaderboard(
        self, router: str = "", *, category: str = "", confidence: float | None = None, timeout: float | None = None
    ) -> Leaderboard:
        """As `Client.leaderboard`."""
        return await self._perform(calls.leaderboard(router, category, confidence), timeout)

    async def import_history(
        self,
        rows: Iterable[HistoryRow],
        *,
        import_id: str,
        router: str = "",
        weight: float | None = None,
        embedding_model: str = "",
        first_row: int = 0,
        timeout: float | None = None,
    ) -> ImportResult:
        """As `Client.import_history`."""
        result = ImportResult(0, 0)
        for portion in portions(rows, first_row, embedding_model):
            call = calls.import_history(portion, import_id=import_id, router=router, weight=weight)
            try:
                result += await self._perform(call, timeout)
            except BanditdError as error:
                raise renumbered(error, "rows", portion.first_row) from error
        return result

    def list_snapshots(
        self, router: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> AsyncIterator[Snapshot]:
        """As `Client.list_snapshots`."""
        return self._pages(lambda token: calls.list_snapshots(router, page_size, token), timeout)

    async def restore_snapshot(
        self, policy_version: int, *, router: str = "", timeout: float | None = None
    ) -> PolicyStatus:
        """As `Client.restore_snapshot`."""
        return await self._perform(calls.restore_snapshot(policy_version, router), timeout)

    def list_policies(
        self, router: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> AsyncIterator[ListedPolicy]:
        """As `Client.list_policies`."""
        return self._pages(lambda token: calls.list_policies(router, page_size, token), timeout)

    async def promote_policy(
        self, name: str, *, router: str = "", reason: str = "", timeout: float | None = None
    ) -> Router:
        """As `Client.promote_policy`."""
        return await self._perform(calls.promote_policy(name, router, reason), timeout)

    async def rollback_policy(self, *, router: str = "", reason: str = "", timeout: float | None = None) -> Router:
        """As `Client.rollback_policy`."""
        return await self._perform(calls.rollback_policy(router, reason), timeout)

    async def _record(self, outcome: Outcome, timeout: float | None) -> OutcomeStatus:
        if not outcome.decision_id:
            return OutcomeStatus.NOT_SENT
        return await self._perform(calls.record_outcome(outcome), timeout)

    async def _pages(self, call_of: Callable[[str], Call[Page[T]]], timeout: float | None) -> AsyncIterator[T]:
        token = ""
        while True:
            page = await self._perform(call_of(token), timeout)
            for item in page.items:
                yield item
            token = page.next_token
            if not token:
                return

    def _stub(self, method: Method) -> Callable[..., Any]:
        """Return the callable of *method*, opening the channel if this is the first call."""
        if self._closed:
            # What a closed channel of the other client raises.
            raise ValueError("client: expected open, got closed")
        if self._channel is None:
            self._channel = (
                grpc.aio.insecure_channel(self._target, self._options)
                if self._credentials is None
                else grpc.aio.secure_channel(self._target, self._credentials, self._options)
            )
        if method not in self._stubs:
            self._stubs[method] = self._channel.unary_unary(
                method.path,
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=method.response_class.FromString,
            )
        return self._stubs[method]

    async def _perform(self, call: Call[T], timeout: float | None) -> T:
        """As `Client._perform`."""
        settings = self._settings
        seconds = settings.timeout if timeout is None else checked_timeout(timeout)
        attempts = Attempts(settings.retry, time.monotonic() + seconds, random.random)
        stub = self._stub(call.method)
        while True:
            try:
                response = await stub(call.request, timeout=attempts.remaining_s(time.monotonic()))
            except grpc.RpcError as rpc_error:
                error = from_rpc_error(rpc_error)
                pause_s = attempts.pause_after(error, time.monotonic()) if call.repeatable else None
                if pause_s is None:
                    return concluded(call, error, attempts.failed_count, settings.fallback_model)
            else:
                return call.read(response)
            await asyncio.sleep(pause_s)
