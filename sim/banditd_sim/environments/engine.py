"""The shipped learner in one process: the same fold, the same choose, with the log in memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from banditd.domain.arrays import Array16, Array32, Array64, Index
from banditd.domain.budget import FREE
from banditd.domain.context import INPUT_TOKENS_UNKNOWN, Context
from banditd.domain.decision import Choice, Decision, DecisionSource, Exclusion, Objective, Resolution
from banditd.domain.ids import KEY_BYTES, issue_decision_id, issue_decision_ids
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Failure, Lesson, Outcome, OutcomeStatus, Ruling
from banditd.domain.records import (
    ComparisonRecord,
    Example,
    Expiry,
    LeaderboardPrior,
    LogEntry,
    ModelChange,
    OutcomeRecord,
    Record,
    RouterChange,
)
from banditd.domain.router import RouterSpec
from banditd.features.encode import encode
from banditd.learner.rounds import play, rounds_max
from banditd.learner.router_state import FIT_PROMPTS_MAX, RouterState, due_fit, missing_fits
from banditd.learner.state import LearnerState
from banditd.policies.beliefs.measures import measured_rows
from banditd.policies.registry import resolve
from banditd.policies.stretch import Stretch
from banditd.routing.choose import Terms, choose_encoded, exclusions_rows
from banditd.routing.snapshot import RouterSnapshot, ServingSnapshot


class MemoryLog:
    """A log in memory, for as many entries as fit: what the fold looks up."""

    def __init__(self) -> None:
        self._decisions: dict[int, Decision | Example] = {}
        self._outcomes: list[LogEntry] = []
        self._settings: list[LogEntry] = []

    def append(self, entry: LogEntry) -> None:
        """Keep what can be looked up."""
        record = entry.record
        if isinstance(record, Decision):
            self._decisions[entry.position] = record
        elif isinstance(record, _TEACHING):
            self._outcomes.append(entry)
            if isinstance(record, Example):
                self._decisions[entry.position] = record
        elif isinstance(record, ModelChange | RouterChange):
            self._settings.append(entry)

    def append_round(self, position: int, decision: Decision, outcome: LogEntry) -> None:
        """Keep a decision at *position* and what came of it: `append` of both, without a look at what they are."""
        self._decisions[position] = decision
        self._outcomes.append(outcome)

    def copy(self) -> MemoryLog:
        """Return a log of its own with the same entries; entries are shared."""
        other = MemoryLog()
        other._decisions = dict(self._decisions)
        other._outcomes = list(self._outcomes)
        other._settings = list(self._settings)
        return other

    @property
    def settings(self) -> Sequence[LogEntry]:
        """Changes of models and routers, oldest first."""
        return self._settings

    def decision(self, position: int) -> Decision:
        """Return the decision at *position*."""
        decision = self._decisions[position]
        assert isinstance(decision, Decision)
        return decision

    def decisions(self) -> list[Decision]:
        """Return all decisions, oldest first; examples are none."""
        return [decision for decision in self._decisions.values() if isinstance(decision, Decision)]

    def newest_outcomes(self, router_id: str, before: int, count_max: int) -> list[LogEntry]:
        """Return the newest outcomes and expiries of a router before a position, oldest first."""
        found = []
        for entry in reversed(self._outcomes):
            assert isinstance(entry.record, _TEACHING)
            if entry.position < before and entry.record.router_id == router_id:
                found.append(entry)
                if len(found) == count_max:
                    break
        return found[::-1]

    def newest_contexts(self, router_id: str, count_max: int) -> list[Context]:
        """Return the prompts of a router's newest decisions, oldest first.

        Decisions that follow one another on the same prompt, as a history with all outcomes has them, count once.
        """
        found: list[Context] = []
        embedding = None
        for decision in reversed(self._decisions.values()):
            context = decision.context
            if context.embedding is not embedding and decision.router_id == router_id:
                found.append(context)
                embedding = context.embedding
                if len(found) == count_max:
                    break
        return found[::-1]


@dataclass(frozen=True, slots=True)
class Told:
    """What would come of each of K models in B rounds.

    Attributes:
        quality: Shape (B, K).
        cost_usd: Shape (B, K).
        latency_ms: Shape (B, K), NaN where unknown.
        prices: K blended prices in force; None where there is none.
    """

    quality: Array64
    cost_usd: Array64
    latency_ms: Array64
    prices: Sequence[float | None]

    def lessons(self, index: Index) -> list[Lesson]:
        """Return what is learnt of models (B',) in the first rounds."""
        at = np.arange(len(index))
        found = zip(
            self.quality[at, index].tolist(),
            self.cost_usd[at, index].tolist(),
            index.tolist(),
            self.latency_ms[at, index].tolist(),
            strict=True,
        )
        return [
            Lesson(quality, cost, self.prices[k], None if math.isnan(latency) else latency)
            for quality, cost, k, latency in found
        ]


class Engine:
    """A learner of one router, driven call by call.

    Args:
        router: Its settings; the embedding dimension is fixed.
        models: Its models; slots are given in order.
        seed: Of every draw: equal seeds and equal calls give equal decisions.
    """

    def __init__(self, router: RouterSpec, models: tuple[ModelSpec, ...], seed: int) -> None:
        self.log = MemoryLog()
        self.state = LearnerState()
        self._router_id = router.router_id
        self._key = _key_of(seed)
        self._position = 0
        for model in models:
            self.append(ModelChange(model.model_id, model.slot, model))
        self.append(RouterChange(router.router_id, router))
        self._give_start()

    @property
    def router(self) -> RouterState:
        """What the router has learnt."""
        return self.state.routers[self._router_id]

    @property
    def snapshot(self) -> ServingSnapshot:
        """All routers as they are now, as the server publishes them."""
        return self.state.publish()

    @property
    def router_snapshot(self) -> RouterSnapshot:
        """Everything that a decision reads, as it is now."""
        return self.state.publish().routers[self._router_id]

    def ready_snapshot(self) -> RouterSnapshot:
        """Return what the next decision reads, after fitting the encoding if that is due."""
        self._fit_encodings()
        state = self.state.routers[self._router_id]
        if state.changes.any_due:
            for alarm in list(state.changes.due(self._router_id)):
                self.append(alarm)
        return self.state.publish_router(self._router_id, live=True)

    def append(self, record: Record, time_ms: int = 0) -> int:
        """Add a fact and learn it; returns its position."""
        self._position += 1
        entry = LogEntry(self._position, time_ms, record)
        self.log.append(entry)
        self.state.apply(entry, self.log)
        return self._position

    def route(
        self, embedding: Array16, terms: Terms, input_tokens: int = INPUT_TOKENS_UNKNOWN, category: str = ""
    ) -> tuple[int, Decision]:
        """Decide for one prompt; returns position and decision."""
        snapshot = self.ready_snapshot()
        context = Context(embedding, input_tokens, category)
        assert snapshot.features is not None
        return self.decide(snapshot, context, encode(snapshot.features, context), terms)

    def decide(self, snapshot: RouterSnapshot, context: Context, row: Array32, terms: Terms) -> tuple[int, Decision]:
        """Decide for one prompt; returns position and decision.

        Args:
            snapshot: The `ready_snapshot`.
            context: What is known of the prompt.
            row: The same under the snapshot's encoding.
            terms: What is asked for.
        """
        assert snapshot.features is not None
        self.state.take_row(snapshot.features, context, row)
        decision_id, uniform = issue_decision_id(self._key, self._position + 1, 0)
        choice = choose_encoded(snapshot, row, context, terms, uniform)
        decision = self._decision(snapshot, decision_id, context, choice, uniform, terms, snapshot.version)
        return self.append(decision), decision

    @property
    def rounds_max(self) -> int:
        """Rounds that `play` may be given now."""
        return rounds_max(self.router)

    def play(
        self, snapshot: RouterSnapshot, contexts: Sequence[Context], rows: Array32, told: Told, terms: Terms
    ) -> Stretch | None:
        """Decide for prompts, `learn` at once what came of each, one after the other; return as many as were played.

        Args:
            snapshot: The `ready_snapshot` of a router that `is_playable`.
            contexts: B prompts in the order in which they come, at most `rounds_max`.
            rows: Shape (B, N): the same under the snapshot's encoding.
            told: What would come of each model.
            terms: What is asked for.

        Returns:
            None where the next round has to be played by itself.
        """
        start = self._position
        ids = issue_decision_ids(self._key, range(start + 1, start + 1 + 2 * len(contexts), 2), 0)
        uniforms = np.array([uniform for _, uniform in ids])
        stretch = Stretch.of(
            rows,
            measured_rows(snapshot.models, told.prices, told.quality, told.cost_usd, told.latency_ms),
            np.ascontiguousarray(told.cost_usd),
            uniforms,
            exclusions_rows(snapshot, contexts, terms),
        )
        played = play(self.state, snapshot, terms, contexts, stretch)
        if played == 0:
            return None
        stretch, version = stretch.first(played), snapshot.version
        lessons = told.lessons(stretch.index)
        pacing = [FREE] * played if self.router.pacer is None else stretch.pacings
        chosen = zip(stretch.index.tolist(), stretch.pmf, stretch.codes, stretch.expected, pacing, strict=True)
        for b, (k, pmf, codes, expected, prices) in enumerate(chosen):
            position, (decision_id, uniform) = start + 1 + 2 * b, ids[b]
            choice = Choice(k, pmf, codes, expected, _POLICY, prices)
            decision = self._decision(snapshot, decision_id, contexts[b], choice, uniform, terms, version)
            version = position + 1
            ruling = Ruling(_APPLIED, lessons[b], _OBSERVED)
            outcome = OutcomeRecord(self._router_id, position, _GOOD, ruling)
            self.log.append_round(position, decision, LogEntry(version, 0, outcome))
        self._position = version
        return stretch

    def _decision(
        self,
        snapshot: RouterSnapshot,
        decision_id: bytes,
        context: Context,
        choice: Choice,
        uniform: float,
        terms: Terms,
        version: int,
    ) -> Decision:
        """Return the record of a choice by a snapshot of that version."""
        return Decision(
            decision_id=decision_id,
            router_id=self._router_id,
            request_id="",
            request_digest=b"",
            context=context,
            slots=snapshot.slots if terms.candidates is None else snapshot.slots[terms.candidates],
            choice=choice,
            uniform=uniform,
            objective=terms.objective,
            limits=terms.limits,
            policy=snapshot.policy.preset,
            policy_version=version,
            learnable=choice.source.learnable,
        )

    def learn(self, position: int, decision: Decision, lesson: Lesson) -> None:
        """Record what came of the decision at *position*; of one by the fallback nothing is learnt."""
        if not decision.learnable:
            self.append(OutcomeRecord(self._router_id, position, _GOOD, _NOT_LEARNED))
            return
        # A decision without a quality goes on waiting for one, as in the server's ledger.
        ruling = Ruling(_APPLIED, lesson, None if lesson.quality is None else _OBSERVED)
        self.append(OutcomeRecord(self._router_id, position, _GOOD, ruling))

    def fail(self, position: int, decision: Decision, failure: Failure) -> None:
        """Record that the call failed: nothing is learnt of the model's quality."""
        outcome = Outcome(decision.decision_id, failure=failure)
        ruling = Ruling(OutcomeStatus.NOT_LEARNED, resolution=Resolution.CENSORED)
        self.append(OutcomeRecord(self._router_id, position, outcome, ruling))

    def expire(self, position: int) -> None:
        """Record that the window of a decision closed without a quality."""
        self.append(Expiry(self._router_id, (position,), self.router.router.default_quality))

    def force(self, embedding: Array16, slot: int, input_tokens: int = INPUT_TOKENS_UNKNOWN) -> tuple[int, Decision]:
        """Log a decision that somebody else made, of one candidate; returns position and decision."""
        decision_id, uniform = issue_decision_id(self._key, self._position + 1, 0)
        decision = Decision(
            decision_id=decision_id,
            router_id=self._router_id,
            request_id="",
            request_digest=b"",
            context=Context(embedding, input_tokens),
            slots=np.array([slot], np.uint16),
            choice=_ONLY,
            uniform=uniform,
            objective=Objective(),
            limits=_NONE.limits,
            policy=self.router.policy.preset,
            policy_version=self.router.version,
            learnable=True,
        )
        return self.append(decision), decision

    def teach(self, prompts: Sequence[tuple[Context, Sequence[tuple[int, Lesson]]]]) -> None:
        """Learn a history with the outcomes of several models per prompt.

        The encoding is fitted on its prompts at the end, and the belief rebuilt under it.

        Args:
            prompts: What is known of each, and pairs of slot and lesson.
        """
        for context, lessons in prompts:
            self.append(Example(self._router_id, context, tuple(lessons)))
        self._fit_encodings()

    def _fit_encodings(self) -> None:
        while self.router.fit_is_due:
            self.append(due_fit(self.router, self.log.newest_contexts(self._router_id, FIT_PROMPTS_MAX)))

    def restart(self) -> None:
        """Go through bytes and back, as a server that stops and starts; the log stays.

        Raises:
            AssertionError: The state that came back is another one.
        """
        digest, raw = self.router.digest(), self.router.to_bytes()
        self.state = _recovered(self.log.settings, {self._router_id: raw}, self._position)
        assert self.router.digest() == digest

    def fork(self, seed: int) -> Engine:
        """Return an engine with the same past and draws of its own."""
        other = copy.copy(self)
        other.log = self.log.copy()
        other.draw_by(seed)
        other.restart()
        return other

    def draw_by(self, seed: int) -> None:
        """Take the draws from now on from *seed*."""
        self._key = _key_of(seed)

    def _give_start(self) -> None:
        for start in missing_fits(self.router.router, self.router):
            self.append(start)


def slots_to_candidates(snapshot: RouterSnapshot, slots: Sequence[int]) -> Index:
    """Return the ascending indices of *slots* in a snapshot's models; slots that it does not have are left out."""
    return np.flatnonzero(np.isin(snapshot.slots, np.array(slots, np.uint16))).astype(np.int64)


def _key_of(seed: int) -> bytes:
    return seed.to_bytes(KEY_BYTES, "big", signed=True)


def _recovered(settings: Sequence[LogEntry], states: dict[str, bytes], position: int) -> LearnerState:
    """Return the state from settings and bytes, as `banditd.learner.recovery` does from a data directory."""
    state = LearnerState()
    for entry in settings:
        record = entry.record
        if isinstance(record, ModelChange):
            if record.model is None:
                state.catalog = state.catalog.without_model(record.model_id)
            else:
                state.catalog = state.catalog.with_model(record.model)
        elif isinstance(record, RouterChange) and record.router is not None:
            state.routers[record.router_id] = RouterState(record.router, resolve(record.router.policy))
    for router_id, raw in states.items():
        state.routers[router_id].load(raw)
    state.position = position
    return state


# What a rebuild reads, decisions apart; the most frequent first.
_TEACHING = (OutcomeRecord, Example, ComparisonRecord, Expiry, LeaderboardPrior)
_NONE = Terms(Objective())
# The fold reads of an outcome whether it failed, and everything else from the ruling: one serves for all.
_GOOD = Outcome(b"")
# Looking up a member of an enumeration takes as long as a record.
_NOT_LEARNED = Ruling(OutcomeStatus.NOT_LEARNED)
_APPLIED, _OBSERVED = OutcomeStatus.APPLIED, Resolution.OBSERVED
_POLICY = DecisionSource.POLICY
_ONLY = Choice(
    0,
    np.ones(1),
    np.array([Exclusion.ELIGIBLE], np.uint8),
    np.full((3, 1), np.nan, np.float32),
    DecisionSource.POLICY,
)
