"""RoutingService: Route, RouteBatch, ReportDecision, RecordOutcome, RecordOutcomes, RecordComparison, GetDecision."""

import asyncio
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from banditd.domain.context import INPUT_TOKENS_UNKNOWN, Context
from banditd.domain.decision import Choice, Decision, DecisionSource
from banditd.domain.ids import parse_decision_id
from banditd.domain.outcome import Outcome
from banditd.domain.records import OutcomeRecord
from banditd.domain.router import DEFAULT_ROUTER
from banditd.errors import AlreadyExistsError, BanditdError, InvalidArgumentError, NotFoundError, Reason
from banditd.learner.attribution import first_entry
from banditd.learner.commands import Answer, ChangeSettings, LogDecisions, RecordComparison, RecordOutcomes
from banditd.learner.writer import REQUEST_MEMORY_MS
from banditd.routing.choose import Terms, choose, choose_rows
from banditd.routing.snapshot import RouterSnapshot
from banditd.server import checks, convert, replies
from banditd.server.bridge import Bridge
from banditd.server.settings import fix_dimension, started
from banditd.server.status import code_of
from banditd.store.log import request_key
from banditd_proto.v1 import comparison_pb2, outcome_pb2
from banditd_proto.v1 import routing_service_pb2 as pb

OUTCOMES_MAX: Final = 1000
_DIGEST_BYTES: Final = 16


class RoutingServicer:
    """Serves banditd.v1.RoutingService. The event loop's thread only.

    Args:
        bridge: To the writer and the log.
        acks_early: Whether decisions are answered before they are on disk.
    """

    def __init__(self, bridge: Bridge, *, acks_early: bool) -> None:
        self._bridge = bridge
        self._acks_early = acks_early
        self._replies = replies.RouteReplies()
        # Who waits for a decision.
        self._calls: list[_Call] = []
        # Expected costs of the decisions of routers with a hard budget, those on their way to the writer included.
        self._decided_usd: dict[str, float] = {}
        # Requests on their way to the disk: a retry that overtakes the first attempt waits for its answer.
        self._underway: dict[bytes, _Logged] = {}

    async def route(self, request: pb.RouteRequest) -> bytes:
        """Choose one model for one prompt; returns a serialised RouteResponse."""
        router_id = request.router_id or DEFAULT_ROUTER
        if not request.HasField("context"):
            raise InvalidArgumentError(Reason.EMPTY_EMBEDDING, "context", "a context with an embedding", "none")
        context = checks.check_context(request.context, self._router(router_id).router)
        key, digest = _identify(router_id, request)
        await self._ready(router_id, [context], request)
        waiting = _Waiting(key, acks_early=self._acks_early)
        self._calls.append(_Call(request, router_id, context, digest, waiting))
        self._bridge.gather(self._decide_all if len(self._calls) == 1 else None)
        await waiting.answerable()
        return waiting.response

    def _decide_all(self) -> None:
        """Decide for all who called side by side; what goes wrong with one of them is raised where that one waits."""
        calls, self._calls = self._calls, []
        alike: dict[str, list[_Call]] = {}
        for call in calls:
            if call.is_plain:
                alike.setdefault(call.router_id, []).append(call)
        done: set[int] = set()
        for router_id, group in alike.items():
            if len(group) > 1:
                done.update(map(id, self._decide_alike(router_id, group)))
        for call in calls:
            if id(call) not in done:
                self._decide_one(call)

    def _decide_alike(self, router_id: str, group: "list[_Call]") -> "list[_Call]":
        """Decide for calls that ask for nothing but a choice, in one go; returns those for which that was possible."""
        snapshot = self._bridge.snapshot.routers.get(router_id)
        if snapshot is None or self._left_usd(snapshot) < math.inf:
            return []
        dimension = snapshot.router.embedding_dimension
        new: list[_Call] = []
        seen: set[bytes] = set()
        for call in group:
            key = call.waiting.key
            if len(call.context.embedding) != dimension:
                continue
            if key:
                if key in seen or key in self._underway or self._bridge.log.request(key) is not None:
                    continue
                seen.add(key)
            new.append(call)
        if len(new) < 2:
            return []
        try:
            terms = self._terms(snapshot, new[0].request)
            issued = self._bridge.issue_ids(len(new))
            previous = [snapshot.sessions.last(call.context.session) for call in new]
            contexts = [call.context for call in new]
            choices = choose_rows(snapshot, contexts, terms, [uniform for _, uniform in issued], previous)
        except BanditdError:
            return []  # each is told by itself
        made = [
            _decision(snapshot, call.context, terms, choice, ids, call.request.request_id, call.digest, slot)
            for call, choice, ids, slot in zip(new, choices, issued, previous, strict=True)
        ]
        time_ms = self._bridge.clock.now_ms()
        responses = self._replies.encode(made, time_ms, self._bridge.snapshot.catalog)
        refusal: BanditdError | None = None
        for call, decision, response in zip(new, made, responses, strict=True):
            try:
                if refusal is None:
                    self._log((decision,), time_ms, call.waiting)
                    call.waiting.decide(response)
                    continue
            except BanditdError as error:
                refusal = error  # of the rest as well, for their ids name the places that follow
            call.waiting.refuse(refusal)
        return new

    def _decide_one(self, call: "_Call") -> None:
        try:
            logged = self._decided(call)
            catalog = self._bridge.snapshot.catalog
            (response,) = self._replies.encode(logged.decisions, logged.time_ms, catalog)
            call.waiting.decide(response)
        except BanditdError as error:
            call.waiting.refuse(error)
        except Exception as error:  # noqa: BLE001 - raised where this call waits; the others of its group go on
            call.waiting.fail(error)

    def _decided(self, call: "_Call") -> "_Logged":
        """Decide, or find what was decided before."""
        request, context = call.request, call.context
        snapshot = self._router(call.router_id)
        checks.check_dimension(len(context.embedding), snapshot.router.embedding_dimension, "context.embedding")
        logged = self._find(call.waiting, call.digest)
        if logged is None:
            terms = self._terms(snapshot, request)
            if request.compare:
                terms = msgspec.structs.replace(terms, compares=True)
            (issued,) = self._bridge.issue_ids(1)
            previous = snapshot.sessions.last(context.session)
            choice = choose(snapshot, context, terms, issued[1], previous)
            decision = _decision(snapshot, context, terms, choice, issued, request.request_id, call.digest, previous)
            logged = self._log((decision,), self._bridge.clock.now_ms(), call.waiting)
            self._count_in(snapshot, choice)
        return logged

    async def route_batch(self, request: pb.RouteBatchRequest) -> bytes:
        """Choose a model for each of many prompts; returns a serialised RouteBatchResponse."""
        router_id = request.router_id or DEFAULT_ROUTER
        router = self._router(router_id).router
        contexts = _batch_contexts(request, router.embedding_dimension)
        checks.check_embedding_model(request.embedding_model, router, "embedding_model")
        key, digest = _identify(router_id, request)
        snapshot = await self._ready(router_id, contexts, request)
        waiting = _Waiting(key, acks_early=self._acks_early)
        logged = self._find(waiting, digest)
        if logged is None:
            terms = self._terms(snapshot, request)
            if request.compare:
                terms = msgspec.structs.replace(terms, compares=True)
            issued = self._bridge.issue_ids(len(contexts))
            uniforms = [uniform for _, uniform in issued]
            previous = [snapshot.sessions.last(context.session) for context in contexts]
            if terms.left_usd < math.inf:
                # Each row leaves less to the next; should none be left for one of them, none is sent.
                choices, left_usd = [], terms.left_usd
                for context, uniform, slot in zip(contexts, uniforms, previous, strict=True):
                    left = msgspec.structs.replace(terms, left_usd=left_usd)
                    choice = choose(snapshot, context, left, uniform, slot)
                    choices.append(choice)
                    left_usd -= _expected_usd(choice)
            else:
                choices = choose_rows(snapshot, contexts, terms, uniforms, previous)
            decisions = tuple(
                _decision(snapshot, context, terms, choice, ids, request.request_id, digest, slot, row, len(contexts))
                for row, (context, choice, ids, slot) in enumerate(
                    zip(contexts, choices, issued, previous, strict=True)
                )
            )
            logged = self._log(decisions, self._bridge.clock.now_ms(), waiting)
            for choice in choices:
                self._count_in(snapshot, choice)
        self._bridge.gather()
        response = replies.route_batch_response(logged.decisions, logged.time_ms, self._bridge.snapshot.catalog)
        if not self._acks_early:
            await waiting.answerable()
        return response

    async def report_decision(self, request: pb.ReportDecisionRequest) -> pb.ReportDecisionResponse:
        """Record a decision that the caller took himself."""
        router_id = request.router_id or DEFAULT_ROUTER
        if not request.HasField("context"):
            raise InvalidArgumentError(Reason.EMPTY_EMBEDDING, "context", "a context with an embedding", "none")
        context = checks.check_context(request.context, self._router(router_id).router)
        propensities = checks.check_propensities(request)
        key, digest = _identify(router_id, request)
        # What the router would be asked: its expectations are what the caller's choice is compared by.
        asked = pb.RouteRequest(candidate_model_ids=propensities)
        if request.HasField("objective"):
            asked.objective.CopyFrom(request.objective)
        snapshot = await self._ready(router_id, [context], asked)
        waiting = _Waiting(key, acks_early=False)
        logged = self._find(waiting, digest)
        if logged is None:
            terms = self._terms(snapshot, asked)
            (issued,) = self._bridge.issue_ids(1)
            previous = snapshot.sessions.last(context.session)
            choice = choose(snapshot, context, terms, issued[1], previous)
            taken = _taken(snapshot, terms, choice, request.model_id, propensities)
            decision = _decision(snapshot, context, terms, taken, issued, request.request_id, digest, previous)
            logged = self._log((decision,), self._bridge.clock.now_ms(), waiting)
        self._bridge.gather()
        await waiting.answerable()
        made = logged.decisions[0]
        return pb.ReportDecisionResponse(
            decision_id=made.decision_id.hex(), create_time=convert.timestamp(logged.time_ms)
        )

    async def record_outcome(self, request: pb.RecordOutcomeRequest) -> pb.RecordOutcomeResponse:
        """Record what came of a decision."""
        self._bridge.books.receive(1)
        outcome = self._checked(request.outcome)
        if isinstance(outcome, BanditdError):
            raise outcome
        (answer,) = await self._bridge.record(RecordOutcomes((outcome,)))
        if isinstance(answer, BanditdError):
            raise answer
        return pb.RecordOutcomeResponse(status=convert.wire(answer.status))

    async def record_outcomes(self, request: pb.RecordOutcomesRequest) -> pb.RecordOutcomesResponse:
        """Record many outcomes; each stands for itself."""
        count = len(request.outcomes)
        if not 1 <= count <= OUTCOMES_MAX:
            raise InvalidArgumentError(Reason.BATCH_SIZE, "outcomes", f"1..{OUTCOMES_MAX}", f"{count}")
        self._bridge.books.receive(count)
        checked = [self._checked(message) for message in request.outcomes]
        good = tuple(outcome for outcome in checked if not isinstance(outcome, BanditdError))
        answers = iter(await self._bridge.record(RecordOutcomes(good)) if good else ())
        results = []
        for outcome in checked:
            answer = outcome if isinstance(outcome, BanditdError) else next(answers)
            if isinstance(answer, BanditdError):
                code = code_of(answer).value[0]
                results.append(
                    pb.OutcomeResult(error_code=code, error_reason=answer.reason, error_message=answer.message)
                )
            else:
                results.append(pb.OutcomeResult(status=convert.wire(answer.status)))
        return pb.RecordOutcomesResponse(results=results)

    async def record_comparison(self, request: pb.RecordComparisonRequest) -> pb.RecordComparisonResponse:
        """Record which of two models did better."""
        self._bridge.books.receive(1)
        try:
            command = await self._compared(request.comparison)
        except BanditdError:
            self._bridge.books.settle({None: 1})
            raise
        (answer,) = await self._bridge.record(command)
        if isinstance(answer, BanditdError):
            raise answer
        return pb.RecordComparisonResponse(status=convert.wire(answer.status))

    async def get_decision(self, request: pb.GetDecisionRequest) -> pb.GetDecisionResponse:
        """Return a decision with what was recorded of it."""
        position = parse_decision_id(self._bridge.secret, request.decision_id).position
        entry = self._bridge.log.find_decision(position)
        if entry is None and self._acks_early:
            # It may be on its way to the disk: look again after what is queued now.
            await self._bridge.change(ChangeSettings(lambda _: ()))
            entry = self._bridge.log.find_decision(position)
        if entry is None or not isinstance(entry.record, Decision):
            raise _lost(request.decision_id)
        decision = entry.record
        if decision.decision_id.hex() != request.decision_id.lower():
            raise _lost(request.decision_id)
        ledger = self._bridge.log.ledger(position) or first_entry(decision)
        outcomes = []
        for outcome_position in ledger.positions:
            found = self._bridge.log.get(outcome_position)
            assert found is not None
            assert isinstance(found.record, OutcomeRecord)
            outcomes.append(found.record.outcome)
        catalog = self._bridge.snapshot.catalog
        return pb.GetDecisionResponse(
            decision=convert.decision_message(decision, entry.time_ms, ledger.resolution, outcomes, catalog)
        )

    def _router(self, router_id: str, field: str = "router_id") -> RouterSnapshot:
        snapshot = self._bridge.snapshot.routers.get(router_id)
        if snapshot is None:
            checks.check_name(router_id, field, checks.ROUTER_ID, Reason.BAD_NAME)
            raise NotFoundError(Reason.ROUTER_NOT_FOUND, f"{field}: there is no router {router_id!r}")
        return snapshot

    async def _ready(
        self, router_id: str, contexts: Sequence[Context], request: pb.RouteRequest | pb.RouteBatchRequest
    ) -> RouterSnapshot:
        """Return the router; its dimension is fixed by the first prompt if it was not before."""
        dimension = len(contexts[0].embedding)
        snapshot = self._router(router_id)
        if snapshot.features is None:
            # A request that will be refused fixes nothing, so it is tried first.
            first = started(snapshot, dimension)
            choose_rows(first, contexts, self._terms(first, request), [0.0] * len(contexts))
            await self._bridge.change(fix_dimension(router_id, dimension, self._bridge.clock.now_ms()))
            snapshot = self._router(router_id)
        # Another first prompt may have been quicker.
        field = "context.embedding" if isinstance(request, pb.RouteRequest) else "embeddings_float32"
        checks.check_dimension(dimension, snapshot.router.embedding_dimension, field)
        self._bridge.writer.check_room()
        return snapshot

    def _terms(self, snapshot: RouterSnapshot, request: pb.RouteRequest | pb.RouteBatchRequest) -> Terms:
        return checks.check_terms(
            snapshot,
            self._bridge.snapshot.catalog,
            request.candidate_model_ids,
            request.limits if request.HasField("limits") else None,
            request.objective if request.HasField("objective") else None,
            self._left_usd(snapshot),
        )

    def _left_usd(self, snapshot: RouterSnapshot) -> float:
        """Return what a hard budget leaves, what was decided since the snapshot counted in."""
        view = snapshot.pacer
        if view is None or not view.budget.is_hard:
            return math.inf
        decided = max(self._decided_usd.get(snapshot.router.router_id, 0.0), view.decided_usd)
        is_over = 0 < view.window_end_ms <= self._bridge.clock.now_ms()
        return (view.budget.usd if is_over else view.left_usd) - (decided - view.decided_usd)

    def _count_in(self, snapshot: RouterSnapshot, choice: Choice) -> None:
        """Count what a decision is expected to cost, before the writer does."""
        view = snapshot.pacer
        if view is not None and view.budget.is_hard:
            router_id = snapshot.router.router_id
            decided = max(self._decided_usd.get(router_id, 0.0), view.decided_usd)
            self._decided_usd[router_id] = decided + _expected_usd(choice)

    def _find(self, waiting: "_Waiting", digest: bytes) -> "_Logged | None":
        """Return what a request was answered with before, and let *waiting* wait for it; None if it is new.

        Raises:
            AlreadyExistsError: `REQUEST_ID_REUSED`: it had other content then.
        """
        key = waiting.key
        if not key:
            return None
        logged = self._underway.get(key)
        if logged is None:
            found = self._bridge.log.request(key)
            if found is None:
                return None
            entries = [self._bridge.log.find_decision(found[0] + i) for i in range(found[1])]
            decisions = tuple(e.record for e in entries if e is not None and isinstance(e.record, Decision))
            assert len(decisions) == found[1]
            assert entries[0] is not None
            if self._bridge.clock.now_ms() - entries[0].time_ms > REQUEST_MEMORY_MS:
                return None
            logged = _Logged(decisions, entries[0].time_ms, None)
        if logged.decisions[0].request_digest != digest:
            raise AlreadyExistsError(
                Reason.REQUEST_ID_REUSED, "request_id: expected a new id, got one that was used with other content"
            )
        if logged.future is None:
            waiting.answer(None)
        else:
            logged.future.add_done_callback(lambda future: waiting.answer(future.result()))
        return logged

    def _log(self, decisions: tuple[Decision, ...], time_ms: int, waiting: "_Waiting") -> "_Logged":
        """Queue decisions that were just made for the writer, who answers *waiting*."""
        self._bridge.queue(LogDecisions(decisions, waiting.key), time_ms, waiting.future)
        logged = _Logged(decisions, time_ms, waiting.future)
        if waiting.key:
            self._underway[waiting.key] = logged
            waiting.future.add_done_callback(lambda _: self._underway.pop(waiting.key, None))
        return logged

    def _checked(self, message: outcome_pb2.Outcome) -> tuple[int, Outcome] | BanditdError:
        """Return position and outcome, or what is wrong with it, counted as rejected."""
        try:
            decision_id = parse_decision_id(self._bridge.secret, message.decision_id, "outcome.decision_id")
            raw = bytes.fromhex(message.decision_id)
            catalog = self._bridge.snapshot.catalog
            outcome = checks.check_outcome(message, raw, catalog, lambda: self._slots(decision_id.position))
        except BanditdError as error:
            self._bridge.books.settle({None: 1})
            return error
        return decision_id.position, outcome

    async def _compared(self, message: comparison_pb2.Comparison) -> RecordComparison:
        """Return a comparison and what it is about; a router without a dimension gets that of its prompt."""
        has_context = message.HasField("context")
        if has_context == bool(message.decision_id):
            raise InvalidArgumentError(
                Reason.COMPARISON_SUBJECT,
                "comparison",
                "either decision_id or context",
                "both" if has_context else "neither",
            )
        catalog = self._bridge.snapshot.catalog
        if not has_context:
            at = parse_decision_id(self._bridge.secret, message.decision_id, "comparison.decision_id").position
            raw = bytes.fromhex(message.decision_id)
            comparison = checks.check_comparison(message, raw, catalog, lambda: self._slots(at))
            return RecordComparison(message.router_id, at, None, comparison)
        router_id = message.router_id or DEFAULT_ROUTER
        snapshot = self._router(router_id, "comparison.router_id")
        context = checks.check_context(message.context, snapshot.router, "comparison.context")
        comparison = checks.check_comparison(message, b"", catalog, lambda: catalog.by_slot)
        if snapshot.features is None:
            now_ms = self._bridge.clock.now_ms()
            await self._bridge.change(fix_dimension(router_id, len(context.embedding), now_ms))
            # Another first prompt may have been quicker.
            fixed = self._router(router_id, "comparison.router_id").router.embedding_dimension
            checks.check_dimension(len(context.embedding), fixed, "comparison.context.embedding")
        return RecordComparison(router_id, 0, context, comparison)

    def _slots(self, position: int) -> tuple[int, ...]:
        """Return the candidates of the decision at a position; none where it is not on disk."""
        found = self._bridge.log.find_decision(position)
        return () if found is None or not isinstance(found.record, Decision) else tuple(found.record.slots.tolist())


class _Call:
    """A call of Route that waits for its decision."""

    __slots__ = ("context", "digest", "request", "router_id", "waiting")

    def __init__(
        self, request: pb.RouteRequest, router_id: str, context: Context, digest: bytes, waiting: "_Waiting"
    ) -> None:
        self.request = request
        self.router_id = router_id
        self.context = context
        self.digest = digest
        self.waiting = waiting

    @property
    def is_plain(self) -> bool:
        """Whether it asks for nothing but a choice among all models."""
        request = self.request
        return not (
            request.candidate_model_ids
            or request.compare
            or request.HasField("limits")
            or request.HasField("objective")
        )


class _Waiting:
    """A call that waits until its decisions are on disk, or only until they are made.

    Args:
        key: Under which its request is remembered; empty without a request id.
        acks_early: Whether it is answered as soon as its decisions are made.

    Attributes:
        future: Gets the writer's answer.
        response: What the caller is told then.
    """

    __slots__ = ("_decided", "future", "key", "response")

    def __init__(self, key: bytes, *, acks_early: bool) -> None:
        self.key = key
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Answer] = loop.create_future()
        self._decided: asyncio.Future[None] | None = loop.create_future() if acks_early else None
        self.response = b""

    def decide(self, response: bytes) -> None:
        """Take what the caller is told; where answers are early, end the waiting."""
        self.response = response
        if self._decided is not None and not self._decided.done():
            self._decided.set_result(None)

    def answer(self, answer: Answer) -> None:
        """Pass on what the writer says."""
        if not self.future.done():
            self.future.set_result(answer)

    def refuse(self, error: BanditdError) -> None:
        """End the waiting: there is no decision."""
        self.fail(error) if self._decided is not None else self.answer(error)

    def fail(self, error: Exception) -> None:
        """Raise where the call waits."""
        future = self.future if self._decided is None else self._decided
        if not future.done():
            future.set_exception(error)

    async def answerable(self) -> None:
        """Return once the call may be answered; raises where there is nothing to answer."""
        if self._decided is not None:
            await self._decided
            return
        # The shield: a caller that goes away must not cancel what a retry of it waits for.
        answer = await (asyncio.shield(self.future) if self.key else self.future)
        if isinstance(answer, BanditdError):
            raise answer


class _Logged:
    """Decisions that are logged or on their way there.

    Attributes:
        decisions: The decisions.
        time_ms: When they were made.
        future: Done once they are on disk; None if they were before.
    """

    __slots__ = ("decisions", "future", "time_ms")

    def __init__(self, decisions: tuple[Decision, ...], time_ms: int, future: "asyncio.Future[Answer] | None") -> None:
        self.decisions = decisions
        self.time_ms = time_ms
        self.future = future


def _taken(
    snapshot: RouterSnapshot, terms: Terms, choice: Choice, model_id: str, propensities: Mapping[str, float]
) -> Choice:
    """Return the caller's own choice, with what the router expected of it. Nothing was excluded: the caller decided."""
    assert terms.candidates is not None
    names = [snapshot.models[k].model_id for k in terms.candidates.tolist()]
    return Choice(
        index=names.index(model_id),
        pmf=np.array([propensities[name] for name in names]),
        exclusions=np.zeros(len(names), np.uint8),
        expected=choice.expected,
        source=DecisionSource.CALLER,
    )


def _expected_usd(choice: Choice) -> float:
    """Return what a choice is expected to cost, its rival included."""
    cost = float(choice.expected[1, choice.index])
    return cost if choice.rival is None else cost + float(choice.expected[1, choice.rival.index])


def _identify(
    router_id: str, request: pb.RouteRequest | pb.RouteBatchRequest | pb.ReportDecisionRequest
) -> tuple[bytes, bytes]:
    """Return the key under which a request is remembered and the digest of its content; empty without an id."""
    if not request.request_id:
        return b"", b""
    checks.check_name(request.request_id, "request_id", checks.REQUEST_ID, Reason.BAD_REQUEST_ID)
    content = request.SerializeToString(deterministic=True)
    digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES, person=type(request).__name__.encode()[:16]).digest()
    return request_key(router_id, request.request_id), digest


def _batch_contexts(request: pb.RouteBatchRequest, dimension: int) -> list[Context]:
    embeddings = checks.check_batch_embeddings(request, dimension)
    count = len(embeddings)
    checks.check_column(request.input_token_counts, count, "input_token_counts")
    checks.check_column(request.categories, count, "categories")
    checks.check_column(request.session_ids, count, "session_ids")
    lengths = list(request.input_token_counts) or [INPUT_TOKENS_UNKNOWN] * count
    for row, tokens in enumerate(lengths):
        if tokens != INPUT_TOKENS_UNKNOWN:
            checks.check_range(tokens, f"input_token_counts[{row}]", 0, checks.TOKENS_MAX, Reason.TOKENS_OUT_OF_RANGE)
    categories = [
        checks.check_text(category, f"categories[{row}]") for row, category in enumerate(request.categories)
    ] or [""] * count
    sessions = [
        checks.check_text(session, f"session_ids[{row}]") for row, session in enumerate(request.session_ids)
    ] or [""] * count
    return [Context(embeddings[row], lengths[row], categories[row], sessions[row]) for row in range(count)]


def _decision(
    snapshot: RouterSnapshot,
    context: Context,
    terms: Terms,
    choice: Choice,
    issued: tuple[bytes, float],
    request_id: str,
    digest: bytes,
    previous_slot: int,
    row: int = -1,
    rows: int = 0,
) -> Decision:
    return Decision(
        decision_id=issued[0],
        router_id=snapshot.router.router_id,
        request_id=request_id,
        request_digest=digest,
        context=context,
        slots=snapshot.slots if terms.candidates is None else snapshot.slots[terms.candidates],
        choice=choice,
        uniform=issued[1],
        objective=terms.objective,
        limits=terms.limits,
        policy=snapshot.policy.preset,
        policy_version=snapshot.version,
        learnable=choice.source.learnable,
        batch_row=row,
        batch_row_count=rows,
        previous_slot=previous_slot,
    )


def _lost(decision_id: str) -> NotFoundError:
    return NotFoundError(
        Reason.DECISION_NOT_FOUND, f"decision_id: decision {decision_id} was lost before it reached the disk"
    )
