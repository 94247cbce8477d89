"""The shipped learner in one process: the same fold, the same choose, with the log in memory."""

import numpy as np

from banditd.domain.arrays import Array16
from banditd.domain.context import INPUT_TOKENS_UNKNOWN, Context
from banditd.domain.decision import Decision, DecisionSource, Resolution
from banditd.domain.ids import KEY_BYTES, issue_decision_id
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, Outcome, OutcomeStatus, Ruling
from banditd.domain.records import Expiry, LogEntry, ModelChange, OutcomeRecord, Record, RouterChange
from banditd.domain.router import RouterSpec
from banditd.learner.state import FIT_PROMPTS_MAX, LearnerState, due_fit, missing_fit
from banditd.routing.choose import Terms, choose
from banditd.routing.snapshot import ServingSnapshot


class MemoryLog:
    """A log in memory, for as many entries as fit: what the fold looks up."""

    def __init__(self) -> None:
        self._decisions: dict[int, Decision] = {}
        self._outcomes: list[LogEntry] = []

    def append(self, entry: LogEntry) -> None:
        """Keep what can be looked up."""
        if isinstance(entry.record, Decision):
            self._decisions[entry.position] = entry.record
        elif isinstance(entry.record, OutcomeRecord | Expiry):
            self._outcomes.append(entry)

    def decision(self, position: int) -> Decision:
        """Return the decision at *position*."""
        return self._decisions[position]

    def newest_outcomes(self, router_id: str, before: int, count_max: int) -> list[LogEntry]:
        """Return the newest outcomes and expiries of a router before a position, oldest first."""
        found = []
        for entry in reversed(self._outcomes):
            assert isinstance(entry.record, OutcomeRecord | Expiry)
            if entry.position < before and entry.record.router_id == router_id:
                found.append(entry)
                if len(found) == count_max:
                    break
        return found[::-1]

    def newest_embeddings(self, router_id: str, count_max: int) -> Array16:
        """Return the embeddings of a router's newest decisions: shape (n, Din), oldest first."""
        found = []
        for decision in reversed(self._decisions.values()):
            if decision.router_id == router_id:
                found.append(decision.context.embedding)
                if len(found) == count_max:
                    break
        return np.stack(found[::-1])


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
        self._key = seed.to_bytes(KEY_BYTES, "big", signed=True)
        self._position = 0
        for model in models:
            self.append(ModelChange(model.model_id, model.slot, model))
        self.append(RouterChange(router.router_id, router))
        start = missing_fit(self.state.routers[router.router_id])
        if start is not None:
            self.append(start)
        self._snapshot: ServingSnapshot | None = None

    @property
    def snapshot(self) -> ServingSnapshot:
        """Everything that a decision reads, as it is now."""
        if self._snapshot is None:
            self._snapshot = self.state.publish()
        return self._snapshot

    def append(self, record: Record, time_ms: int = 0) -> int:
        """Add a fact and learn it; returns its position."""
        self._position += 1
        entry = LogEntry(self._position, time_ms, record)
        self.log.append(entry)
        self.state.apply(entry, self.log)
        if not isinstance(record, Decision):
            self._snapshot = None
        return self._position

    def route(
        self, embedding: Array16, terms: Terms, input_tokens: int = INPUT_TOKENS_UNKNOWN, category: str = ""
    ) -> tuple[int, Decision]:
        """Decide for one prompt; returns position and decision."""
        state = self.state.routers[self._router_id]
        if state.fit_is_due:
            self.append(due_fit(state, self.log.newest_embeddings(self._router_id, FIT_PROMPTS_MAX)))
        snapshot = self.snapshot.routers[self._router_id]
        context = Context(embedding, input_tokens, category)
        decision_id, uniform = issue_decision_id(self._key, self._position + 1, 0)
        choice = choose(snapshot, context, terms, uniform)
        decision = Decision(
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
            policy_version=snapshot.version,
            learnable=choice.source is DecisionSource.POLICY,
        )
        return self.append(decision), decision

    def learn(self, position: int, decision: Decision, lesson: Lesson) -> None:
        """Record what came of a decision."""
        outcome = Outcome(decision.decision_id, quality=lesson.quality, cost_usd=lesson.cost_usd)
        ruling = Ruling(OutcomeStatus.APPLIED, lesson, Resolution.OBSERVED)
        self.append(OutcomeRecord(self._router_id, position, outcome, ruling))
