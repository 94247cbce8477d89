"""The learner's machine: a pure fold of the log. No thread, clock or disk.

Live, after a crash, under another encoding and in the simulator the same entries give the same state, bit for bit.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol

from banditd.catalog.models import Catalog
from banditd.domain.arrays import AnyArray, Array16
from banditd.domain.decision import Decision, Resolution
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Failure, Lesson
from banditd.domain.records import (
    Expiry,
    FeatureFit,
    LogEntry,
    ModelChange,
    OutcomeRecord,
    Restore,
    RouterChange,
)
from banditd.domain.router import RouterSpec
from banditd.errors import FailedPreconditionError, Reason
from banditd.features.encode import encode
from banditd.features.fit import fit_spec, seed_of, seeded_spec
from banditd.features.spec import FeatureKind, FeatureSpec, decode_spec, encode_spec
from banditd.policies.base import Belief
from banditd.policies.beliefs.factory import make_belief, relearns
from banditd.policies.registry import PolicyParameters, resolve
from banditd.policies.snapshot_codec import decode_state, encode_state
from banditd.routing.snapshot import RouterSnapshot, ServingSnapshot, offered_models

# A rebuild reads at most this many of the newest outcomes of a router, so that it takes seconds however long the log
# is. Part of what makes the fold the same everywhere: a constant, not a setting.
REBUILD_OUTCOMES_MAX: Final = 50_000
# The encoding is fitted when this many prompts have been seen, and again each time there are four times as many: often
# while a fit still changes much, then ever more rarely.
FIRST_FIT_PROMPTS: Final = 256
FIT_GROWTH: Final = 4
# Prompts that a fit looks at, the newest first.
FIT_PROMPTS_MAX: Final = 4096


class LogView(Protocol):
    """What the fold may look up: entries that are before the one being applied."""

    def decision(self, position: int) -> Decision:
        """Return the decision at *position*."""
        ...

    def newest_outcomes(self, router_id: str, before: int, count_max: int) -> Iterable[LogEntry]:
        """Return the newest entries of a router that are outcomes or expiries, oldest first, before a position."""
        ...


@dataclass
class RouterState:
    """What a router has learnt. Mutable; the writer's thread only.

    Attributes:
        router: Its settings.
        policy: Its policy, resolved.
        features: Its encoding; None until the dimension is fixed.
        belief: What it believes; None like `features`.
        version: Position of the last entry that changed any of this but the counts.
        decision_counts: Decisions per slot.
        failure_counts: Failures per slot.
        observed: Decisions resolved with a quality.
        expired: Decisions whose window closed without one.
        censored: Decisions of which quality will never be learnt.
        fit_position: Position of the last fit of the encoding; 0 for the seeded start.
        next_fit: Prompts at which the encoding is fitted next.
        forgotten: Ranges (from, to] of positions that a restored snapshot has taken back.
    """

    router: RouterSpec
    policy: PolicyParameters
    features: FeatureSpec | None = None
    belief: Belief | None = None
    version: int = 0
    decision_counts: dict[int, int] = field(default_factory=dict)
    failure_counts: dict[int, int] = field(default_factory=dict)
    observed: int = 0
    expired: int = 0
    censored: int = 0
    fit_position: int = 0
    next_fit: int = FIRST_FIT_PROMPTS
    forgotten: tuple[tuple[int, int], ...] = ()

    @property
    def start_position(self) -> int:
        """Where the router was made. What was decided before, under its name, was another's."""
        return self.forgotten[0][1] if self.forgotten else 0

    @property
    def decision_count(self) -> int:
        """Decisions made."""
        return sum(self.decision_counts.values())

    @property
    def fit_is_due(self) -> bool:
        """Whether enough prompts have been seen to fit the encoding (again)."""
        return (
            self.features is not None
            and self.features.kind is not FeatureKind.INTERCEPT_ONLY
            and self.decision_count >= self.next_fit
        )

    def offered(self, catalog: Catalog) -> tuple[ModelSpec, ...]:
        """Return the models that the router offers."""
        return offered_models(catalog, self.router)

    def digest(self) -> str:
        """Return 32 hexadecimal digits over everything learnt: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(json.dumps(self.header(), sort_keys=True).encode(), digest_size=16)
        hasher.update(b"" if self.features is None else encode_spec(self.features))
        hasher.update(b"" if self.belief is None else self.belief.digest())
        return hasher.hexdigest()

    def header(self) -> dict[str, Any]:
        """Return what is no array, as JSON values."""
        # Absent where there are none, so that what was stored before there were any reads the same.
        texts = {"texts": dict(self.policy.texts)} if self.policy.texts else {}
        return texts | {
            "router_id": self.router.router_id,
            "preset": self.policy.preset,
            "parameters": dict(self.policy.values),
            "version": self.version,
            "decision_counts": sorted(self.decision_counts.items()),
            "failure_counts": sorted(self.failure_counts.items()),
            "resolved": [self.observed, self.expired, self.censored],
            "fit": [self.fit_position, self.next_fit],
            "forgotten": [list(span) for span in self.forgotten],
            "features": None if self.features is None else encode_spec(self.features).hex(),
        }

    def to_bytes(self) -> bytes:
        """Return the learnt state; settings are no part of it."""
        return encode_state(self.header(), {} if self.belief is None else self.belief.to_arrays())

    def load_belief(self, header: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> None:
        """Take encoding and belief from a decoded state of the same policy.

        Raises:
            FailedPreconditionError: `FEATURE_SPEC_MISMATCH`: it was learnt by another policy.
            DataLossError: The arrays do not fit.
        """
        same = header["preset"] == self.policy.preset and header["parameters"] == dict(self.policy.values)
        if not same or header.get("texts", {}) != dict(self.policy.texts):
            raise FailedPreconditionError(
                Reason.FEATURE_SPEC_MISMATCH,
                f"snapshot: expected one learnt by {self.policy.preset} with the router's parameters, "
                f"got one by {header['preset']}",
            )
        features = None if header["features"] is None else decode_spec(bytes.fromhex(header["features"]))
        if features is None:
            self.features, self.belief = None, None
            return
        if features.input_dimension != self.router.embedding_dimension:
            raise FailedPreconditionError(
                Reason.FEATURE_SPEC_MISMATCH,
                f"snapshot: expected embeddings of {self.router.embedding_dimension} values, "
                f"got {features.input_dimension}",
            )
        belief = make_belief(self.policy, features, self.router)
        belief.load_arrays(arrays)
        self.features, self.belief = features, belief

    def load(self, raw: bytes) -> None:
        """Take everything from the bytes of `to_bytes`; raises as `load_belief`."""
        header, arrays = decode_state(raw)
        self.load_belief(header, arrays)
        self.version = header["version"]
        self.decision_counts = dict(map(tuple, header["decision_counts"]))
        self.failure_counts = dict(map(tuple, header["failure_counts"]))
        self.observed, self.expired, self.censored = header["resolved"]
        self.fit_position, self.next_fit = header["fit"]
        self.forgotten = tuple((span[0], span[1]) for span in header["forgotten"])


def missing_fit(state: RouterState) -> FeatureFit | None:
    """Return the seeded start that a router needs before it can decide; None where it has an encoding already."""
    dimension = state.router.embedding_dimension
    if state.features is not None or dimension == 0:
        return None
    spec = seeded_spec(state.policy.features, dimension, seed_of(state.router.router_id))
    return FeatureFit(state.router.router_id, encode_spec(spec), 0)


def due_fit(state: RouterState, embeddings: Array16) -> FeatureFit:
    """Return the encoding fitted on the newest prompts, shape (n, Din).

    Args:
        state: A router whose `fit_is_due`.
        embeddings: Its newest prompts, oldest first.
    """
    spec = fit_spec(state.policy.features, embeddings, seed_of(state.router.router_id), state.features)
    return FeatureFit(state.router.router_id, encode_spec(spec), len(embeddings))


class LearnerState:
    """All routers' states and the catalogue. Mutable; the writer's thread only."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.routers: dict[str, RouterState] = {}
        self.position = 0
        self._published: dict[str, RouterSnapshot] = {}

    def apply(self, entry: LogEntry, log: LogView) -> None:
        """Take in the next entry of the log.

        Args:
            entry: Its position is above that of the last.
            log: What came before.
        """
        assert entry.position > self.position
        record = entry.record
        if isinstance(record, Decision):
            self._apply_decision(record)
        elif isinstance(record, OutcomeRecord):
            self._apply_outcome(entry.position, record, log)
        elif isinstance(record, Expiry):
            self._apply_expiry(entry.position, record, log)
        elif isinstance(record, ModelChange):
            self._apply_model(entry.position, record)
        elif isinstance(record, RouterChange):
            self._apply_router(entry.position, record, log)
        elif isinstance(record, FeatureFit):
            self._apply_fit(entry.position, record, log)
        else:
            self._apply_restore(entry.position, record)
        self.position = entry.position

    def publish(self) -> ServingSnapshot:
        """Return frozen copies of everything that a decision reads; what has not changed is shared with the last."""
        for router_id, state in self.routers.items():
            last = self._published.get(router_id)
            if last is not None and last.version == state.version:
                continue
            models = offered_models(self.catalog, state.router)
            self._published[router_id] = RouterSnapshot(
                router=state.router,
                policy=state.policy,
                features=state.features,
                belief=None if state.belief is None else state.belief.freeze(models),
                models=models,
                version=state.version,
            )
        for router_id in self._published.keys() - self.routers.keys():
            del self._published[router_id]
        return ServingSnapshot(self.catalog, MappingProxyType(dict(self._published)), self.position)

    def _apply_decision(self, decision: Decision) -> None:
        state = self.routers.get(decision.router_id)
        if state is None:
            return  # its router was removed while it was on its way
        state.decision_counts[decision.slot] = state.decision_counts.get(decision.slot, 0) + 1
        if not decision.learnable:
            state.censored += 1

    def _apply_outcome(self, position: int, record: OutcomeRecord, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None or record.decision_position <= state.start_position:
            return
        ruling = record.ruling
        if ruling.resolution is Resolution.OBSERVED:
            state.observed += 1
        elif ruling.resolution is Resolution.CENSORED:
            state.censored += 1
        if record.outcome.failure is not Failure.NONE:
            slot = log.decision(record.decision_position).slot
            state.failure_counts[slot] = state.failure_counts.get(slot, 0) + 1
        if ruling.lesson.metrics:
            self._learn(state, log.decision(record.decision_position), ruling.lesson)
            state.version = position

    def _apply_expiry(self, position: int, record: Expiry, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        state.expired += len(record.decision_positions)
        if record.quality is not None:
            for decision_position in record.decision_positions:
                self._learn(state, log.decision(decision_position), Lesson(quality=record.quality))
            state.version = position

    def _learn(self, state: RouterState, decision: Decision, lesson: Lesson) -> None:
        model = self.catalog.by_slot.get(decision.slot)
        if model is None or state.features is None or state.belief is None:
            return  # the model was removed: what was seen of it stays in the log
        if decision.context.embedding.shape[0] != state.features.input_dimension:
            return  # logged before the router was made anew under its name, with another embedding
        row = encode(state.features, decision.context.embedding, decision.context.input_tokens)
        state.belief.learn(model, row, lesson, decision)

    def _apply_model(self, position: int, record: ModelChange) -> None:
        old = self.catalog.get(record.model_id)
        if record.model is None:
            self.catalog = self.catalog.without_model(record.model_id)
        else:
            self.catalog = self.catalog.with_model(record.model)
        for state in self.routers.values():
            if state.belief is not None:
                state.belief.change_model(old, record.model)
            state.version = position

    def _apply_router(self, position: int, record: RouterChange, log: LogView) -> None:
        router = record.router
        if router is None:
            self.routers.pop(record.router_id, None)
            return
        policy = resolve(router.policy)
        state = self.routers.get(record.router_id)
        if state is None:
            # A router that is made anew under an old name has nothing to do with what came before.
            self.routers[record.router_id] = RouterState(router, policy, version=position, forgotten=((0, position),))
            return
        changed = relearns(state.router, state.policy, router, policy)
        state.router, state.policy, state.version = router, policy, position
        if state.features is not None and state.features.kind is not policy.features:
            # A seeded start of the new kind follows as a record of its own, and a fit where enough prompts were seen.
            state.features, state.belief, state.next_fit = None, None, FIRST_FIT_PROMPTS
        elif state.features is not None and changed:
            self._rebuild(state, position, log)

    def _apply_fit(self, position: int, record: FeatureFit, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        state.features = decode_spec(record.spec)
        state.fit_position = position if record.prompt_count else 0
        while record.prompt_count and state.next_fit <= state.decision_count:
            state.next_fit *= FIT_GROWTH
        state.version = position
        self._rebuild(state, position, log)

    def _rebuild(self, state: RouterState, position: int, log: LogView) -> None:
        assert state.features is not None
        state.belief = make_belief(state.policy, state.features, state.router, self.catalog.models)
        for entry in log.newest_outcomes(state.router.router_id, position, REBUILD_OUTCOMES_MAX):
            if any(low < entry.position <= high for low, high in state.forgotten):
                continue
            if isinstance(entry.record, OutcomeRecord) and entry.record.ruling.lesson.metrics:
                self._learn(state, log.decision(entry.record.decision_position), entry.record.ruling.lesson)
            elif isinstance(entry.record, Expiry) and entry.record.quality is not None:
                for decision_position in entry.record.decision_positions:
                    self._learn(state, log.decision(decision_position), Lesson(quality=entry.record.quality))

    def _apply_restore(self, position: int, record: Restore) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        header, arrays = decode_state(record.state)
        state.load_belief(header, arrays)
        if state.belief is not None:
            for model in self.catalog.models:  # they may have changed since
                state.belief.change_model(None, model)
        state.version = position
        state.forgotten = (*state.forgotten, (record.policy_version, position))
