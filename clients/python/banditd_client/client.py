"""The client for threads."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

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
from banditd_client.calls import METHODS, Call, Page, concluded
from banditd_client.channel import ChannelOptions, channel_options
from banditd_client.enums import UNCHANGED, Failure, ModelState, OutcomeStatus, Unchanged
from banditd_client.errors import BanditdError, from_rpc_error, renumbered
from banditd_client.history import HistoryRow, ImportResult, portions
from banditd_client.measure import MeasuredCall, measure
from banditd_client.policy_types import ListedPolicy
from banditd_client.retry import Attempts, RetryPolicy
from banditd_client.settings import Settings, checked_timeout
from banditd_client.types import Comparison, Decision, Limits, Objective, Outcome, OutcomeResult, Route
from banditd_client.vectors import Embedding, Embeddings

T = TypeVar("T")


class Client:
    """A connection to a banditd server, for any number of threads. Connects with the first call.

    Every call takes a *timeout* in seconds, which counts its retries too, and raises a `BanditdError`. A process that
    forks makes its client afterwards.
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
        """Make a client.

        Args:
            target: Address of the server, for example `localhost:50051`.
            fallback_model: What `route` answers with if the router cannot be reached in time. None: it raises.
            credentials: For TLS, as `grpc.ssl_channel_credentials` makes them. None: not encrypted.
            route_timeout: Seconds that `route` may take where it is given no timeout.
            timeout: Seconds that any other call may take where it is given no timeout.
            retry: How calls are repeated after UNAVAILABLE.
            options: gRPC channel options that win over this client's own.
        """
        self._settings = Settings(fallback_model, route_timeout, timeout, retry or RetryPolicy())
        arguments = channel_options(options)
        self._channel = (
            grpc.insecure_channel(target, arguments)
            if credentials is None
            else grpc.secure_channel(target, credentials, arguments)
        )
        self._stubs = {
            method: self._channel.unary_unary(
                method.path,
                # Each request knows its own class, so one serialiser does for all.
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=method.response_class.FromString,
            )
            for method in METHODS.values()
        }

    def close(self) -> None:
        """Close the connection; running calls are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def route(
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
        """Choose the model for one prompt.

        With a fallback model, a router that is unavailable or too slow is answered by it: `source` is
        CLIENT_FALLBACK and `decision_id` is empty. Not if *candidates* are given and it is none of them.

        Args:
            embedding: The prompt's vector: a NumPy array, a list, an `array`, or little-endian float32 bytes. None for
                a router whose policy needs none.
            router: Empty means `default`.
            request_id: Makes a repetition by the caller safe. None: one is made, for the retries within this call.
            input_tokens: Length of the prompt. None means unknown.
            category: The caller's category of the prompt.
            session: The conversation that the prompt belongs to.
            embedding_model: Name of the model that made the vector. Empty means: as the router expects.
            candidates: Models that the caller can use. Empty means every model that the router offers.
            limits: Hard limits of this request.
            objective: Trade-off of this request where it differs from the router's.
            compare: Asks for a second model, `rival`, whose comparison with the first would teach the most.
            timeout: Seconds, retries included.
        """
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
        return self._perform(call, self._settings.route_timeout if timeout is None else timeout)

    def route_batch(
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
        """Choose a model for each of up to 1024 prompts at once. All or nothing: one bad row fails the call.

        Args:
            embeddings: A two-dimensional array, or a sequence with a vector per prompt.
            router: As in `route`, like all that is not listed here.
            request_id: Makes a repetition of the whole batch by the caller safe.
            input_tokens: Length of each prompt, None for unknown. None: all are unknown.
            categories: The category of each prompt. Empty: none has one.
            sessions: The conversation of each prompt. Empty: none has one.
            embedding_model: As in `route`.
            candidates: As in `route`, for every row.
            limits: As in `route`, for every row.
            objective: As in `route`, for every row.
            compare: As in `route`, for every row.
            timeout: Seconds, retries included.
        """
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
        return self._perform(call, timeout)

    def report_decision(
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
        """Record a decision that the caller took himself; returns its id, by which outcomes are recorded as usual.

        `list_policies` then says what the router's policy would have gained in the caller's place.

        Args:
            embedding: As in `route`, like all that is not listed here.
            model: The model that was called.
            propensities: Probability of every model that could have been drawn; they sum to 1.
            router: As in `route`.
            request_id: Makes a repetition by the caller safe.
            input_tokens: As in `route`.
            category: As in `route`.
            session: As in `route`.
            embedding_model: As in `route`.
            objective: As in `route`.
            timeout: Seconds, retries included.
        """
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
        return self._perform(call, timeout)

    def record_outcome(
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
        """Record what came of a decision; when it returns, that is on the server's disk.

        For the empty decision id of a client-side fallback nothing is sent, and the answer is NOT_SENT.

        Args:
            decision_id: The decision, from `route`.
            outcome_id: Makes a repetition by the caller safe. None: one is made, for the retries within this call.
            quality: How good the answer was, 0..1.
            cost_usd: What the call cost. None: computed by the server from the tokens, if both are given.
            input_tokens: Billed input tokens.
            cached_input_tokens: Those of them that were read from the prompt cache.
            output_tokens: Billed output tokens.
            latency_ms: From sending the prompt to the complete answer.
            failure: How the call failed, if it did.
            served_model: The model that really served, if it was another than the chosen one.
            observed_at: With a time zone. None means now.
            timeout: Seconds, retries included.
        """
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
        return self._record(outcome, timeout)

    def record_outcomes(self, outcomes: Iterable[Outcome], *, timeout: float | None = None) -> list[OutcomeResult]:
        """Record up to 1000 outcomes; one result each, in order. A bad one does not keep the others from the disk.

        Outcomes without a decision id are not sent: NOT_SENT.
        """
        everything, known = calls.sendable(outcomes)
        results = self._perform(calls.record_outcomes(known), timeout) if known else []
        return calls.merged(everything, results)

    def record_comparison(
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
        """Record which of two models did better; when it returns, that is on the server's disk.

        Args:
            comparison: Who did better.
            decision_id: The decision whose prompt it is about, from `route`; else give the embedding.
            embedding: The prompt's vector, where no decision was made.
            router: Empty means that of the decision, or `default`.
            input_tokens: Length of the prompt, where no decision was made. None means unknown.
            category: The caller's category of the prompt, where no decision was made.
            embedding_model: Name of the model that made the vector. Empty means: as the router expects.
            timeout: Seconds, retries included.
        """
        call = calls.record_comparison(
            comparison,
            decision_id=decision_id,
            embedding=embedding,
            router=router,
            input_tokens=input_tokens,
            category=category,
            embedding_model=embedding_model,
        )
        return self._perform(call, timeout)

    def measure(self, route: Route, *, timeout: float | None = None) -> AbstractContextManager[MeasuredCall]:
        """Time the body of a `with` and report its outcome on leaving.

            with client.measure(route) as call:
                answer = ask(route.model, prompt)
                call.output_tokens = answer.output_tokens

        An exception of the body is reported as a failure and goes on: TimeoutError as TIMEOUT, any other Exception as
        UNAVAILABLE (providers' libraries have their own classes), unless the body has set `call.failure`.
        KeyboardInterrupt and its like say nothing of the model, and nothing is reported. Latency is reported where an
        answer was complete: not after an exception, nor for TIMEOUT, RATE_LIMIT and UNAVAILABLE.

        The report never takes the place of the body's exception. After a good body, a server that is out of reach or
        overloaded is logged and kept in `call.report_error`; a mistake in what is reported is raised. *timeout* is
        the report's.
        """
        return measure(route, lambda outcome: self._record(outcome, timeout))

    def get_decision(self, decision_id: str, *, timeout: float | None = None) -> Decision:
        """Return a decision with what was recorded of it."""
        return self._perform(calls.get_decision(decision_id), timeout)

    def create_model(
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
        """Add a model; see `Model` for what the values mean. The same content again is answered as the first time."""
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
        return self._perform(calls.create_model(model), timeout)

    def get_model(self, model_id: str, *, timeout: float | None = None) -> Model:
        """Return a model."""
        return self._perform(calls.get_model(model_id), timeout)

    def list_models(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[Model]:
        """Iterate over the models in order of creation, fetching pages as needed; *timeout* is each page's."""
        return self._pages(lambda token: calls.list_models(page_size, token), timeout)

    def update_model(
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
        """Change the given fields of a model and leave the others. None clears a field."""
        changes = {
            "price": price,
            "context_window_tokens": context_window_tokens,
            "tags": tags,
            "state": state,
            "quality_guess": quality_guess,
            "latency_ms_guess": latency_ms_guess,
            "sibling_model": sibling_model,
        }
        return self._perform(calls.update_model(model_id, changes), timeout)

    def delete_model(self, model_id: str, *, timeout: float | None = None) -> None:
        """Remove a model. NotFound if there is none, except after a retry, when an earlier try may have removed it."""
        return self._perform(calls.delete_model(model_id), timeout)

    def create_router(
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
        """Add a router; see `Router` for what the values mean. The same content again is answered as the first time."""
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
        return self._perform(calls.create_router(router), timeout)

    def get_router(self, router: str = "", *, timeout: float | None = None) -> Router:
        """Return a router; empty means `default`."""
        return self._perform(calls.get_router(router), timeout)

    def list_routers(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[Router]:
        """Iterate over the routers in order of creation, fetching pages as needed; *timeout* is each page's."""
        return self._pages(lambda token: calls.list_routers(page_size, token), timeout)

    def update_router(
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
        """Change the given fields of a router and leave the others. None clears a field."""
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
        return self._perform(calls.update_router(router_id, changes), timeout)

    def delete_router(self, router_id: str, *, timeout: float | None = None) -> None:
        """Remove a router. NotFound if there is none, except after a retry, when an earlier try may have removed it."""
        return self._perform(calls.delete_router(router_id), timeout)

    def policy_status(
        self,
        router: str = "",
        *,
        embedding: Embedding | None = None,
        input_tokens: int | None = None,
        category: str = "",
        timeout: float | None = None,
    ) -> PolicyStatus:
        """Return a router's policy, what it believes of each model, and its books.

        Args:
            router: Empty means `default`.
            embedding: A prompt: how likely each model's quality is to arrive for it is told as well.
            input_tokens: Its length. None means unknown.
            category: The caller's category of it.
            timeout: Seconds, retries included.
        """
        return self._perform(calls.policy_status(router, embedding, input_tokens, category), timeout)

    def leaderboard(
        self, router: str = "", *, category: str = "", confidence: float | None = None, timeout: float | None = None
    ) -> Leaderboard:
        """Return the models by ratings from comparisons and by mean scores, with intervals; empty means every one."""
        return self._perform(calls.leaderboard(router, category, confidence), timeout)

    def import_history(
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
        """Teach a router what was seen before it decided, a portion after the other, in order.

        Each row counts once, by *import_id* and its number, so that the same call can be made again after a failure.

        Args:
            rows: The rows.
            import_id: Names the import: the same for the same rows.
            router: The router; empty means `default`.
            weight: Pseudo-observations that each row counts for, in (0, 1]. None means 1.
            embedding_model: Name of the embedding model, as in `route`.
            first_row: Number of the first of *rows* within the import.
            timeout: Seconds per portion, which is up to 256 rows.

        Raises:
            BanditdError: A portion was refused, those before it are learnt; the field names the row by its number.
        """
        result = ImportResult(0, 0)
        for portion in portions(rows, first_row, embedding_model):
            call = calls.import_history(portion, import_id=import_id, router=router, weight=weight)
            try:
                result += self._perform(call, timeout)
            except BanditdError as error:
                raise renumbered(error, "rows", portion.first_row) from error
        return result

    def list_snapshots(
        self, router: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[Snapshot]:
        """Iterate over the snapshots of a router, newest first; *timeout* is each page's."""
        return self._pages(lambda token: calls.list_snapshots(router, page_size, token), timeout)

    def restore_snapshot(self, policy_version: int, *, router: str = "", timeout: float | None = None) -> PolicyStatus:
        """Take a router's learnt state back to a snapshot. Never retried: it would undo what was learnt in between."""
        return self._perform(calls.restore_snapshot(policy_version, router), timeout)

    def list_policies(
        self, router: str = "", *, page_size: int = 0, timeout: float | None = None
    ) -> Iterator[ListedPolicy]:
        """Iterate over a router's policies, the one that decides first, with how they compare."""
        return self._pages(lambda token: calls.list_policies(router, page_size, token), timeout)

    def promote_policy(self, name: str, *, router: str = "", reason: str = "", timeout: float | None = None) -> Router:
        """Let a shadow decide; the policy that decided becomes a shadow. *reason* stands in the log. Never retried."""
        return self._perform(calls.promote_policy(name, router, reason), timeout)

    def rollback_policy(self, *, router: str = "", reason: str = "", timeout: float | None = None) -> Router:
        """Let the policy decide again that did before the last promotion. Never retried."""
        return self._perform(calls.rollback_policy(router, reason), timeout)

    def _record(self, outcome: Outcome, timeout: float | None) -> OutcomeStatus:
        if not outcome.decision_id:
            return OutcomeStatus.NOT_SENT
        return self._perform(calls.record_outcome(outcome), timeout)

    def _pages(self, call_of: Callable[[str], Call[Page[T]]], timeout: float | None) -> Iterator[T]:
        token = ""
        while True:
            page = self._perform(call_of(token), timeout)
            yield from page.items
            token = page.next_token
            if not token:
                return

    def _perform(self, call: Call[T], timeout: float | None) -> T:
        """Send *call* until it is answered, has failed for good, or its time is over."""
        settings = self._settings
        seconds = settings.timeout if timeout is None else checked_timeout(timeout)
        attempts = Attempts(settings.retry, time.monotonic() + seconds, random.random)
        stub = self._stubs[call.method]
        while True:
            try:
                response = stub(call.request, timeout=attempts.remaining_s(time.monotonic()))
            except grpc.RpcError as rpc_error:
                error = from_rpc_error(rpc_error)
                pause_s = attempts.pause_after(error, time.monotonic()) if call.repeatable else None
                if pause_s is None:
                    return concluded(call, error, attempts.failed_count, settings.fallback_model)
            else:
                return call.read(response)
            time.sleep(pause_s)
