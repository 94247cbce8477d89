"""The learner's machine: a pure fold of the log. No thread, clock or disk.

Live, after a crash, under another encoding and in the simulator the same entries give the same state, bit for bit.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np

from banditd.catalog.health import note, turn
from banditd.catalog.models import Catalog
from banditd.domain.arrays import AnyArray, Array16, Array32
from banditd.domain.budget import Budget
from banditd.domain.context import Context
from banditd.domain.decision import Decision, DecisionSource, Resolution
from banditd.domain.health import GOOD_HEALTH, Health, ModelHealth
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Failure, Lesson, OutcomeStatus
from banditd.domain.promotion import Promotion, PromotionCause, Verdict
from banditd.domain.records import (
    ChangeAlarm,
    ComparisonRecord,
    Example,
    Expiry,
    FeatureFit,
    HealthChange,
    LeaderboardPrior,
    LogEntry,
    ModelChange,
    OutcomeRecord,
    Restore,
    RouterChange,
)
from banditd.domain.router import PolicySpec, RouterSpec, promoted
from banditd.errors import DataLossError, FailedPreconditionError, Reason
from banditd.evaluation import Account, judge
from banditd.features.encode import encode
from banditd.features.fit import fit_spec, intercept_spec, seed_of, seeded_spec
from banditd.features.spec import INTERCEPT, FeatureKind, FeatureSpec, decode_spec, encode_spec
from banditd.learner.arrival import Arrival
from banditd.learner.changes import Changes, Mark, do_again, fades
from banditd.objective.pacer import Pacer, PacerView
from banditd.policies.base import Belief, BeliefSnapshot, ChangingBelief, ComparingBelief, Residuals, SupposingBelief
from banditd.policies.beliefs.factory import make_belief, relearns
from banditd.policies.registry import PRESETS, PolicyParameters, resolve
from banditd.policies.snapshot_codec import decode_state, encode_state
from banditd.routing.sessions import Sessions
from banditd.routing.shadowing import is_comparable, measure, shadow_pmf
from banditd.routing.snapshot import RouterSnapshot, ServingSnapshot, offered_models

# A rebuild reads at most this many of the newest outcomes of a router, so that it takes seconds however long the log
# is. Part of what makes the fold the same everywhere: a constant, not a setting.
REBUILD_OUTCOMES_MAX: Final = 50_000
# The encoding is fitted when this many prompts have been seen, and again each time there are four times as many: often
# while a fit still changes much, then ever more rarely.
FIRST_FIT_PROMPTS: Final = 256
FIT_GROWTH: Final = 4
# What needs no fit, and whose rows tell nothing of a prompt.
_BLIND: Final = FeatureKind.INTERCEPT_ONLY
# Prompts that a fit looks at, the newest first.
FIT_PROMPTS_MAX: Final = 4096


class LogView(Protocol):
    """What the fold may look up: entries that are before the one being applied."""

    def decision(self, position: int) -> Decision:
        """Return the decision at *position*."""
        ...

    def newest_outcomes(self, router_id: str, before: int, count_max: int) -> Iterable[LogEntry]:
        """Return the newest entries of a router that teach, decisions apart, oldest first, before a position."""
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
        settings_version: Position of the last one that changed settings, models or the encoding.
        decision_count: Decisions made.
        decision_counts: The same per slot.
        failure_counts: Failures per slot.
        support: Per slot, sum and least of the probabilities with which it could have been drawn where eligible.
        example_count: Examples learnt.
        comparison_count: Comparisons learnt.
        observed: Decisions resolved with a quality.
        expired: Decisions whose window closed without one.
        censored: Decisions of which quality will never be learnt.
        fit_position: Position of the last fit of the encoding; 0 for the seeded start.
        next_fit: Prompts at which the encoding is fitted next.
        pacer: The accounts of its budget; None without one.
        forgotten: Ranges (from, to] of positions that a restored snapshot has taken back.
        sessions: The last model of each session; a restored snapshot leaves it as it is.
        changes: What it remembers of change.
        arrival: How likely qualities are to arrive; facts of the callers, which a restored snapshot leaves as they are.
        shadows: By name, the policies that do not decide: each learns like a router of its own that has nothing else.
        account: Of a shadow, its evaluation against the policy that decides; of that, against callers who decided.
        former: Name of the policy that decided before the last promotion; empty before the first and after a way back.
        promotion_ms: When the last promotion was; 0 before the first.
        preview: The shadow as it would decide now; None where that has to be made anew. No part of the state.
    """

    router: RouterSpec
    policy: PolicyParameters
    features: FeatureSpec | None = None
    belief: Belief | None = None
    version: int = 0
    settings_version: int = 0
    decision_count: int = 0
    decision_counts: dict[int, int] = field(default_factory=dict)
    failure_counts: dict[int, int] = field(default_factory=dict)
    support: dict[int, tuple[float, float]] = field(default_factory=dict)
    example_count: int = 0
    comparison_count: int = 0
    observed: int = 0
    expired: int = 0
    censored: int = 0
    fit_position: int = 0
    next_fit: int = FIRST_FIT_PROMPTS
    pacer: Pacer | None = None
    forgotten: tuple[tuple[int, int], ...] = ()
    sessions: Sessions = field(default_factory=Sessions)
    changes: Changes = field(default_factory=Changes)
    arrival: Arrival = field(default_factory=Arrival)
    shadows: dict[str, "RouterState"] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    former: str = ""
    promotion_ms: int = 0
    preview: RouterSnapshot | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.router.budget is not None and self.pacer is None:
            self.pacer = Pacer(self.router.budget)
        for shadow in self.router.shadows:
            self.shadows[shadow.name] = self.new_shadow(shadow.policy)

    def new_shadow(self, policy: PolicySpec) -> "RouterState":
        """Return a shadow that has learnt nothing."""
        return RouterState(replace(self.router, policy=policy, budget=None, shadows=()), resolve(policy))

    @property
    def everyone(self) -> tuple["RouterState", ...]:
        """The policy that decides and its shadows."""
        return (self, *self.shadows.values())

    def verdict(self, name: str, now_ms: int) -> Verdict:
        """Return what the rule says of a shadow; of the policy that decided until lately, only whether it is better."""
        rule, account = self.router.promotion, self.shadows[name].account
        if name == self.former and now_ms - self.promotion_ms <= rule.rollback_window_ms:
            return Verdict.PROMOTE if account.exceeds(rule.margin) else Verdict.NOT_BETTER
        return judge(account, rule)

    def due_promotion(self, now_ms: int) -> Promotion | None:
        """Return the promotion that the rule asks for now."""
        if not self.router.promotion.is_automatic:
            return None
        for name in self.shadows:
            if self.verdict(name, now_ms) is Verdict.PROMOTE:
                lately = name == self.former and now_ms - self.promotion_ms <= self.router.promotion.rollback_window_ms
                return self.promotion(name, PromotionCause.ROLLBACK_RULE if lately else PromotionCause.RULE)
        return None

    def promotion(self, name: str, cause: PromotionCause, reason: str = "") -> Promotion:
        """Return the record of a promotion."""
        figures = self.shadows[name].account.figures()
        return Promotion(
            router_id=self.router.router_id,
            name=name,
            former=self.router.policy_name,
            cause=cause,
            reason=reason,
            decisions=figures.decisions,
            difference=figures.difference,
            low=figures.low,
            high=figures.high,
            effective_samples=figures.effective_samples,
        )

    @property
    def start_position(self) -> int:
        """Where the router was made. What was decided before, under its name, was another's."""
        return self.forgotten[0][1] if self.forgotten else 0

    def has_forgotten(self, position: int) -> bool:
        """Return whether a restored snapshot has taken back what stands at *position*."""
        return any(low < position <= high for low, high in self.forgotten)

    @property
    def prompt_count(self) -> int:
        """Prompts seen."""
        return self.decision_count + self.example_count

    @property
    def fit_is_due(self) -> bool:
        """Whether enough prompts have been seen to fit the encoding (again)."""
        return (
            self.features is not None
            and self.features.kind is not FeatureKind.INTERCEPT_ONLY
            and self.prompt_count >= self.next_fit
        )

    def pacer_view(self, belief: BeliefSnapshot | None) -> PacerView | None:
        """Return its budget as it stands, given what is believed now."""
        if self.pacer is None:
            return None
        average = None
        if self.pacer.is_fresh and belief is not None and self.features is not None:
            row = np.zeros(self.features.row_width, np.float32)
            row[INTERCEPT] = 1.0
            average = belief.predict(row)
        share, change = self.router.exploration_share, self.policy.change
        # Of whom little is known nobody can say what trying him loses.
        is_known = belief is not None and belief.evidence_min >= max(change.newcomer_outcomes, 1)
        # What a newcomer may have of the traffic he may have of the money: of a share of the latter he would be known
        # much later, and what he costs the others make good.
        paid = max(share, change.newcomer_share) if self.changes.newcomers else share
        return self.pacer.view(average, self.router.objective, paid, share if is_known else math.inf)

    def offered(self, catalog: Catalog) -> tuple[ModelSpec, ...]:
        """Return the models that the router offers."""
        return offered_models(catalog, self.router)

    def digest(self) -> str:
        """Return 32 hexadecimal digits over everything learnt: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(json.dumps(self.header(), sort_keys=True).encode(), digest_size=16)
        hasher.update(b"" if self.features is None else encode_spec(self.features))
        hasher.update(b"" if self.belief is None else self.belief.digest())
        if self.pacer is not None:
            for array in self.pacer.to_arrays().values():
                hasher.update(array.tobytes())
        for array in self.arrival.to_arrays().values():
            hasher.update(array.tobytes())
        for array in self._account_arrays().values():
            hasher.update(array.tobytes())
        for shadow in self.shadows.values():
            hasher.update(shadow.digest().encode())
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
            "support": [[slot, *support] for slot, support in sorted(self.support.items())],
            "examples": self.example_count,
            "comparisons": self.comparison_count,
            "resolved": [self.observed, self.expired, self.censored],
            "fit": [self.fit_position, self.next_fit],
            "forgotten": [list(span) for span in self.forgotten],
            "features": None if self.features is None else encode_spec(self.features).hex(),
            **({"sessions": self.sessions.to_bytes().hex()} if self.sessions else {}),
            "changes": self.changes.header(),
            **({"promotion": [self.former, self.promotion_ms]} if self.promotion_ms else {}),
            **({"shadows": {name: shadow.header() for name, shadow in self.shadows.items()}} if self.shadows else {}),
        }

    def _account_arrays(self) -> dict[str, AnyArray]:
        return self.account.to_arrays() if self.account.is_open else {}

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the arrays of everything learnt, by name."""
        arrays = {} if self.belief is None else self.belief.to_arrays()
        if self.pacer is not None:
            arrays |= {_PACER + name: array for name, array in self.pacer.to_arrays().items()}
        arrays |= {_ARRIVAL + name: array for name, array in self.arrival.to_arrays().items()}
        arrays |= {_ACCOUNT + name: array for name, array in self._account_arrays().items()}
        for shadow_name, shadow in self.shadows.items():
            arrays |= {f"{_SHADOWS}{shadow_name}/{name}": array for name, array in shadow.to_arrays().items()}
        return arrays

    def to_bytes(self) -> bytes:
        """Return the learnt state; settings are no part of it."""
        return encode_state(self.header(), self.to_arrays())

    def load_belief(self, header: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> None:
        """Take encoding and belief from a decoded state of the same policy.

        Raises:
            FailedPreconditionError: `FEATURE_SPEC_MISMATCH`: it was learnt by another policy.
            DataLossError: The arrays do not fit.
        """
        same = header["preset"] == self.policy.preset and _all_parameters(header) == dict(self.policy.values)
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
        belief.load_arrays({name: array for name, array in arrays.items() if not name.startswith(_BESIDE_BELIEF)})
        self.features, self.belief = features, belief

    def load(self, raw: bytes) -> None:
        """Take everything from the bytes of `to_bytes`; raises as `load_belief`."""
        self.load_decoded(*decode_state(raw))

    def load_decoded(self, header: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> None:
        """Take everything from header and arrays of a decoded state; raises as `load_belief`."""
        self.load_belief(header, arrays)
        if self.pacer is not None:
            self.pacer.load_arrays(_below(_PACER, arrays))
        self.arrival.load_arrays(_below(_ARRIVAL, arrays))
        account = _below(_ACCOUNT, arrays)
        if account:
            self.account.load_arrays(account)
        self.former, self.promotion_ms = header.get("promotion", ("", 0))
        for name, shadow in self.shadows.items():
            # A snapshot that says nothing of one is damaged, and is passed over for the one before it.
            if name not in header.get("shadows", {}):
                raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected a shadow {name!r}, got none")
            shadow.load_decoded(header["shadows"][name], _below(f"{_SHADOWS}{name}/", arrays))
        self.version = header["version"]
        self.decision_counts = dict(map(tuple, header["decision_counts"]))
        self.decision_count = sum(self.decision_counts.values())
        self.failure_counts = dict(map(tuple, header["failure_counts"]))
        self.support = {slot: (total, least) for slot, total, least in header["support"]}
        self.example_count = header["examples"]
        self.comparison_count = header["comparisons"]
        self.observed, self.expired, self.censored = header["resolved"]
        self.fit_position, self.next_fit = header["fit"]
        self.forgotten = tuple((span[0], span[1]) for span in header["forgotten"])
        self.sessions.load(bytes.fromhex(header.get("sessions", "")))
        if "changes" in header:
            self.changes = Changes.of_header(header["changes"])


# What other arrays are called beside those of a belief.
_PACER: Final = "pacer/"
_ARRIVAL: Final = "arrival/"
_ACCOUNT: Final = "account/"
_SHADOWS: Final = "shadows/"
_BESIDE_BELIEF: Final = (_PACER, _ARRIVAL, _ACCOUNT, _SHADOWS)


def _below(prefix: str, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _pacer(old: Pacer | None, budget: Budget | None) -> Pacer | None:
    """Return the pacer of a router whose budget is *budget* now."""
    if budget is None or old is None:
        return None if budget is None else Pacer(budget)
    if budget != old.budget:
        old.change_budget(budget)
    return old


def price_factor(old: ModelSpec | None, new: ModelSpec | None) -> float:
    """Return by what a change of price multiplies the cost of a call; 1 where that cannot be said."""
    if old is None or new is None or old.price is None or new.price is None:
        return 1.0
    before = old.price.blended_mtok_usd
    return new.price.blended_mtok_usd / before if before > 0.0 else 1.0


def _all_parameters(header: Mapping[str, Any]) -> dict[str, float]:
    """Return the parameters that a state was learnt with; one that its version did not know had its default."""
    preset = PRESETS.get(header["preset"])
    known = {} if preset is None else {name: parameter.default for name, parameter in preset.parameters.items()}
    known.update(header["parameters"])
    return known


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


def promotion_records(state: RouterState, promotion: Promotion, now_ms: int) -> tuple[Promotion, RouterChange]:
    """Return what is logged of a promotion: the fact, and the settings that it makes, which a start reads alone."""
    router = replace(promoted(state.router, promotion.name), update_time_ms=now_ms)
    return promotion, RouterChange(router.router_id, router)


class LearnerState:
    """All routers' states, the catalogue and its health. Mutable; the writer's thread only."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.routers: dict[str, RouterState] = {}
        self.health: dict[int, ModelHealth] = {}
        self.position = 0
        self._time_ms = 0
        self._unhealthy: Mapping[int, Health] = MappingProxyType({})
        self._published: dict[str, RouterSnapshot] = {}
        # Routers whose published snapshot shares memory with what goes on changing.
        self._live: set[str] = set()
        self._encoded: tuple[Context, FeatureSpec, Array32] | None = None

    def encoded(self, features: FeatureSpec, context: Context) -> Array32:
        """Return the context's row, to be read only: that of the last call where it was about the same objects.

        An example teaches several models of one prompt, and a replay learns of the prompt that it just decided: both
        would encode it again. Contexts and encodings do not change, so this is no state of the fold.
        """
        last = self._encoded
        if last is not None and last[0] is context and last[1] is features:
            return last[2]
        row = encode(features, context.embedding, context.input_tokens)
        self._encoded = (context, features, row)
        return row

    def apply(self, entry: LogEntry, log: LogView) -> None:
        """Take in the next entry of the log.

        Args:
            entry: Its position is above that of the last.
            log: What came before.
        """
        assert entry.position > self.position
        record = entry.record
        self._time_ms = entry.time_ms
        if isinstance(record, Decision):
            self._apply_decision(entry.position, record, entry.time_ms)
        elif isinstance(record, OutcomeRecord):
            self._apply_outcome(entry.position, record, log)
        elif isinstance(record, ComparisonRecord):
            self._apply_comparison(entry.position, record, log)
        elif isinstance(record, Expiry):
            self._apply_expiry(entry.position, record, log)
        elif isinstance(record, Example):
            self._apply_example(entry.position, record)
        elif isinstance(record, LeaderboardPrior):
            self._apply_prior(entry.position, record)
        elif isinstance(record, ModelChange):
            self._apply_model(entry.position, record)
        elif isinstance(record, RouterChange):
            self._apply_router(entry.position, record, log)
        elif isinstance(record, FeatureFit):
            self._apply_fit(entry.position, record, log)
        elif isinstance(record, HealthChange):
            self._apply_health(entry.position, record)
        elif isinstance(record, ChangeAlarm):
            self._apply_alarm(entry.position, record)
        elif isinstance(record, Promotion):
            self._apply_promotion(entry.position, record)
        else:
            self._apply_restore(entry.position, record)
        self.position = entry.position

    def publish(self) -> ServingSnapshot:
        """Return frozen copies of everything that a decision reads; what has not changed is shared with the last."""
        for router_id in self.routers:
            self.publish_router(router_id)
        for router_id in self._published.keys() - self.routers.keys():
            del self._published[router_id]
        return ServingSnapshot(self.catalog, MappingProxyType(dict(self._published)), self.position, self._unhealthy)

    def publish_router(self, router_id: str, *, live: bool = False) -> RouterSnapshot:
        """Return what a decision of one router reads; what has not changed is shared with the last.

        Args:
            router_id: Of a router that is there.
            live: Whether the snapshot is done with before the next entry is applied: then nothing need be copied.
        """
        state, last = self.routers[router_id], self._published.get(router_id)
        was_live = router_id in self._live
        if live:
            self._live.add(router_id)
        else:
            self._live.discard(router_id)
        if (
            last is not None
            and state.settings_version <= last.version
            and state.changes.newcomers.keys() == last.newcomers
        ):
            # Settings and models, and what is derived of them, are what they were.
            belief = last.belief
            if (state.version != last.version or was_live) and state.belief is not None:
                belief = state.changes.freeze(state.belief, last.models, state.policy.change, live=live)
            if belief is not last.belief or state.pacer is not None:
                last = self._published[router_id] = last.renewed(belief, state.version, state.pacer_view(belief))
            return last
        models = offered_models(self.catalog, state.router)
        belief = None
        if state.belief is not None:
            belief = state.changes.freeze(state.belief, models, state.policy.change, live=live)
        snapshot = self._published[router_id] = RouterSnapshot(
            router=state.router,
            policy=state.policy,
            features=state.features,
            belief=belief,
            models=models,
            version=state.version,
            pacer=state.pacer_view(belief),
            sessions=state.sessions,
            health=self._unhealthy,
            newcomers=frozenset(state.changes.newcomers),
        )
        return snapshot

    def health_of(self, slot: int) -> ModelHealth:
        """Return a model's health."""
        return self.health.get(slot, GOOD_HEALTH)

    def health_bytes(self) -> bytes:
        """Return the health of all models, as it is stored beside the routers' states."""
        return encode_state({"health": [_health_values(slot, h) for slot, h in sorted(self.health.items())]}, {})

    def load_health(self, raw: bytes) -> None:
        """Take the health of all models from the bytes of `health_bytes`; raises DataLossError."""
        self.health = dict(_health_of(values) for values in decode_state(raw)[0]["health"])
        self._note_unhealthy()

    def _note_unhealthy(self) -> None:
        self._unhealthy = MappingProxyType(
            {slot: health.state for slot, health in self.health.items() if health.state is not Health.HEALTHY}
        )

    def _touch(self, state: RouterState, position: int) -> None:
        """Give a router a new version."""
        state.version = position
        for each in state.everyone:
            each.changes.decisions, each.changes.time_ms = state.decision_count, self._time_ms
            each.preview = None

    def _settle(self, state: RouterState, position: int) -> None:
        """Give a router a new version of which more than the belief is new."""
        self._touch(state, position)
        state.settings_version = position

    def _apply_decision(self, position: int, decision: Decision, time_ms: int) -> None:
        state = self.routers.get(decision.router_id)
        if state is None:
            return  # its router was removed while it was on its way
        chosen = decision.slot
        state.decision_count += 1
        state.decision_counts[chosen] = state.decision_counts.get(chosen, 0) + 1
        support = state.support
        for slot, probability in zip(decision.slots.tolist(), decision.choice.pmf.tolist(), strict=True):
            if probability > 0.0:
                total, least = support.get(slot, (0.0, 1.0))
                support[slot] = (total + probability, min(least, probability))
        is_ours = decision.choice.source is not DecisionSource.CALLER
        if state.pacer is not None and is_ours:
            state.pacer.observe(decision, time_ms)
        state.sessions.remember(decision.context.session, chosen)
        if not decision.learnable:
            state.censored += 1
        if is_comparable(decision):
            # The shadows are compared with the policy that decides, and that one with callers who decide themselves.
            for watcher in state.shadows.values() if is_ours else (state,):
                self._compare(state, watcher, position, decision)

    def _compare(self, state: RouterState, watcher: RouterState, position: int, decision: Decision) -> None:
        """Take note of how a policy that did not decide would have drawn, from what it has learnt by now."""
        if watcher.features is None or watcher.belief is None:
            return
        if decision.context.embedding.shape[0] != watcher.features.input_dimension:
            return  # as with outcomes
        if watcher.preview is None:
            models = state.offered(self.catalog)
            belief = watcher.changes.freeze(watcher.belief, models, watcher.policy.change)
            watcher.preview = RouterSnapshot(
                router=watcher.router,
                policy=watcher.policy,
                features=watcher.features,
                belief=belief,
                models=models,
                version=state.version,
                pacer=state.pacer_view(belief),
                newcomers=frozenset(state.changes.newcomers),
            )
        row = self.encoded(watcher.features, decision.context)
        pmf = shadow_pmf(watcher.preview, decision, row)
        watcher.account.note(position, decision.choice, pmf, measure(decision))

    def _apply_outcome(self, position: int, record: OutcomeRecord, log: LogView) -> None:
        slot = record.ruling.health_slot
        if slot in self.catalog.by_slot:
            self.health[slot] = note(
                self.health_of(slot), record.decision_position, self._time_ms, record.outcome.failure
            )
        state = self.routers.get(record.router_id)
        if state is None or record.decision_position <= state.start_position:
            return
        ruling = record.ruling
        if ruling.resolution is Resolution.OBSERVED:
            state.observed += 1
        elif ruling.resolution is Resolution.CENSORED:
            state.censored += 1
            for each in state.everyone:
                each.account.forget(record.decision_position)
        if record.outcome.failure is not Failure.NONE:
            slot = log.decision(record.decision_position).slot
            state.failure_counts[slot] = state.failure_counts.get(slot, 0) + 1
        if ruling.lesson.metrics:
            decision = log.decision(record.decision_position)
            choice = decision.choice
            is_ours = choice.source is not DecisionSource.CALLER
            if state.pacer is not None and is_ours and ruling.lesson.cost_usd is not None:
                state.pacer.correct(float(choice.expected[1, choice.index]), ruling.lesson.cost_usd)
            residuals = self._teach(state, decision, ruling.lesson)
            if ruling.resolution is Resolution.OBSERVED:
                state.arrival.note(decision.slot, decision.context, arrived=True)
            if ruling.lesson.quality is not None:
                for each in state.everyone:
                    each.account.settle(record.decision_position, ruling.lesson, measure(decision))
            if state.policy.change.change_detection:
                state.changes.watch(decision.slot, residuals)
            state.changes.count(decision.slot, ruling.lesson)
            self._touch(state, position)

    def _apply_expiry(self, position: int, record: Expiry, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        state.expired += len(record.decision_positions)
        for decision_position in record.decision_positions:
            decision = log.decision(decision_position)
            state.arrival.note(decision.slot, decision.context, arrived=False)
        if record.quality is not None:
            lesson = Lesson(quality=record.quality)
            for decision_position in record.decision_positions:
                decision = log.decision(decision_position)
                self._teach(state, decision, lesson)
                for each in state.everyone:
                    each.account.settle(decision_position, lesson, measure(decision))
            self._touch(state, position)
        else:
            for each in state.everyone:
                for decision_position in record.decision_positions:
                    each.account.forget(decision_position)

    def _teach(self, state: RouterState, decision: Decision, lesson: Lesson) -> Residuals | None:
        """Have the router and its shadows learn from a decision; return what the router's predictions missed by."""
        for shadow in state.shadows.values():
            self._learn_outcome(shadow, lesson, state.decision_count, self._time_ms, decision)
        return self._learn_outcome(state, lesson, state.decision_count, self._time_ms, decision)

    def _apply_comparison(self, position: int, record: ComparisonRecord, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None or record.status is not OutcomeStatus.APPLIED:
            return
        if record.context is None and record.decision_position <= state.start_position:
            return
        state.comparison_count += 1
        for each in state.everyone:
            self._learn_comparison(each, record, log)
            each.preview = None
        state.version = position

    def _learn_comparison(self, state: RouterState, record: ComparisonRecord, log: LogView) -> None:
        context, comparison = record.context, record.comparison
        if context is None:
            context = log.decision(record.decision_position).context
        model_a, model_b = (self.catalog.by_slot.get(slot) for slot in (comparison.slot_a, comparison.slot_b))
        if model_a is None or model_b is None or state.features is None or state.belief is None:
            return  # as with outcomes
        if context.embedding.shape[0] != state.features.input_dimension:
            return
        if isinstance(state.belief, ComparingBelief):
            row = encode(state.features, context.embedding, context.input_tokens)
            state.belief.compare(model_a, model_b, row, comparison)

    def _apply_example(self, position: int, record: Example) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        state.example_count += 1
        for each in state.everyone:
            self._learn_example(each, record, state.decision_count, self._time_ms)
        self._touch(state, position)

    def _learn_example(self, state: RouterState, record: Example, decisions: int, time_ms: int) -> None:
        for slot, lesson in record.lessons:
            self._learn(state, record.context, slot, lesson, decisions, time_ms)
            state.changes.count(slot, lesson)

    def _apply_prior(self, position: int, record: LeaderboardPrior) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        for each in state.everyone:
            self._suppose(each, record)
            each.preview = None
        self._touch(state, position)

    def _suppose(self, state: RouterState, record: LeaderboardPrior) -> None:
        for slot, quality, strength in record.standings:
            model = self.catalog.by_slot.get(slot)
            # Under another policy than the one that took it, there may be no such prior.
            if model is None or state.belief is None:
                continue
            if isinstance(state.belief, SupposingBelief):
                state.belief.suppose(model, quality, strength)

    def _learn_outcome(
        self, state: RouterState, lesson: Lesson, decisions: int, time_ms: int, decision: Decision
    ) -> Residuals | None:
        """Learn an outcome as `_learn` does; its quality counts the more, the less likely it was to arrive."""
        bound, context, slot = state.policy.observation_weighting, decision.context, decision.slot
        weight = 1.0
        if bound > 1.0 and lesson.quality is not None and state.router.default_quality is None:
            # A shadow's outcomes are the router's.
            weight = self.routers[decision.router_id].arrival.weight(slot, context, bound)
        if weight == 1.0:
            return self._learn(state, context, slot, lesson, decisions, time_ms, decision)
        # Costs and latencies come with their calls, not with judgements.
        judged, rest = Lesson(lesson.quality, weight=weight), replace(lesson, quality=None)
        missed = self._learn(state, context, slot, judged, decisions, time_ms, decision)
        beside = self._learn(state, context, slot, rest, decisions, time_ms, decision) if rest.metrics else None
        # Errors of what arrives are 0 on average by their weights only. These are 1 on average and at most the bound,
        # so that their squares are at most the bound on average: scaled by its root, a detector's alarms stay as rare.
        quality = math.nan if missed is None else missed[0] * weight / math.sqrt(bound)
        return (quality, math.nan, math.nan) if beside is None else (quality, beside[1], beside[2])

    def _learn(
        self,
        state: RouterState,
        context: Context,
        slot: int,
        lesson: Lesson,
        decisions: int,
        time_ms: int,
        decision: Decision | None = None,
    ) -> Residuals | None:
        """Learn; return what the predictions missed by.

        Args:
            state: Of the router.
            context: What the lesson is about.
            slot: Number of the model.
            lesson: What was seen of it.
            decisions: Decisions of the router at that time; with *time_ms*, how old evidence is.
            time_ms: That time.
            decision: What chose the model; None where nothing did.
        """
        model = self.catalog.by_slot.get(slot)
        if model is None or state.features is None or state.belief is None:
            return None  # the model was removed: what was seen of it stays in the log
        if context.embedding.shape[0] != state.features.input_dimension:
            return None  # logged before the router was made anew under its name, with another embedding
        if fades(state.policy.change):
            kept = state.changes.see(model.slot, state.policy.change, decisions, time_ms)
            if kept < 1.0 and isinstance(state.belief, ChangingBelief):
                state.belief.fade(model, kept)
        row = self.encoded(state.features, context)
        return state.belief.learn(model, row, lesson, context.category, decision)

    def _apply_health(self, position: int, record: HealthChange) -> None:
        if record.slot not in self.catalog.by_slot:
            return
        self.health[record.slot] = turn(record, position, self._time_ms)
        self._note_unhealthy()
        for state in self.routers.values():
            if any(model.slot == record.slot for model in state.offered(self.catalog)):
                self._settle(state, position)

    def _apply_alarm(self, position: int, record: ChangeAlarm) -> None:
        state = self.routers.get(record.router_id)
        if state is None or record.slot not in self.catalog.by_slot:
            return
        mark = state.changes.sound(position, self._time_ms, record)
        for each in state.everyone:
            if each.belief is not None:
                do_again(each.belief, mark, self.catalog.by_slot)
        self._settle(state, position)

    def _apply_promotion(self, position: int, record: Promotion) -> None:
        state = self.routers.get(record.router_id)
        if state is None or record.name not in state.shadows:
            return
        shadow, former = state.shadows[record.name], state.router.policy_name
        state.router = promoted(state.router, record.name)
        # What was learnt changes places; what happened to the router stays.
        shadow.router = replace(shadow.router, policy=next(p.policy for p in state.router.shadows if p.name == former))
        shadow.policy, state.policy = state.policy, shadow.policy
        shadow.features, state.features = state.features, shadow.features
        shadow.belief, state.belief = state.belief, shadow.belief
        shadow.changes.seen, state.changes.seen = state.changes.seen, shadow.changes.seen
        state.changes.sums.clear()
        state.shadows = {p.name: state.shadows.get(p.name, shadow) for p in state.router.shadows}
        # There is no way back from a way back but the rule's for any shadow.
        state.former = "" if record.cause.goes_back else former
        state.promotion_ms = self._time_ms
        self._open_accounts(state)
        self._settle(state, position)

    def _open_accounts(self, state: RouterState) -> None:
        """Begin all comparisons anew: another policy decides."""
        for each in state.everyone:
            each.account = Account()

    def _apply_model(self, position: int, record: ModelChange) -> None:
        old = self.catalog.get(record.model_id)
        if record.model is None:
            self.catalog = self.catalog.without_model(record.model_id)
            self.health.pop(record.slot, None)
            self._note_unhealthy()
        else:
            self.catalog = self.catalog.with_model(record.model)
        for state in self.routers.values():
            for each in state.everyone:
                if each.belief is not None:
                    each.belief.change_model(old, record.model)
            if state.pacer is not None:
                state.pacer.reprice(record.slot, price_factor(old, record.model))
            if record.model is None:
                for each in state.everyone:
                    each.changes.drop(record.slot)
                state.arrival.drop(record.slot)
            elif old is None:
                self._welcome(state, position, record.model)
            self._settle(state, position)

    def _welcome(self, state: RouterState, position: int, model: ModelSpec) -> None:
        """Start a model that is new to a router: like its sibling, and with a bounded share where others are known."""
        if model.slot not in {offered.slot for offered in state.offered(self.catalog)}:
            return
        if state.observed >= state.policy.change.newcomer_outcomes:
            state.changes.welcome(model.slot, state.policy.change)
        sibling = self.catalog.get(model.sibling_model_id)
        if sibling is not None and state.belief is not None:
            mark = state.changes.mark(Mark(position, model.slot, -1, sibling.slot))
            for each in state.everyone:
                if each.belief is not None:
                    do_again(each.belief, mark, self.catalog.by_slot)

    def _apply_router(self, position: int, record: RouterChange, log: LogView) -> None:
        router = record.router
        if router is None:
            self.routers.pop(record.router_id, None)
            return
        policy = resolve(router.policy)
        state = self.routers.get(record.router_id)
        if state is None:
            # A router that is made anew under an old name has nothing to do with what came before.
            self.routers[record.router_id] = RouterState(
                router, policy, version=position, settings_version=position, forgotten=((0, position),)
            )
            return
        changed = relearns(state.router, state.policy, router, policy)
        before = state.offered(self.catalog)
        if state.policy != policy:
            self._open_accounts(state)
        state.router, state.policy = router, policy
        self._keep_shadows(state, position, log)
        self._settle(state, position)
        state.pacer = _pacer(state.pacer, router.budget)
        for model in state.offered(self.catalog):
            if model not in before and model.slot not in state.decision_counts:
                self._welcome(state, position, model)
        if state.features is not None and state.features.kind is not policy.features:
            # A seeded start of the new kind follows as a record of its own, and a fit where enough prompts were seen.
            state.features, state.belief, state.next_fit = None, None, FIRST_FIT_PROMPTS
        elif state.features is not None and changed:
            self._rebuild(state, position, log, state.decision_count)

    def _keep_shadows(self, state: RouterState, position: int, log: LogView) -> None:
        """Bring the shadows in line with the router's settings; one that is new learns from the log."""
        kept = state.shadows
        state.shadows = {}
        for wanted in state.router.shadows:
            fresh = state.new_shadow(wanted.policy)
            shadow = kept.get(wanted.name, fresh)
            if relearns(shadow.router, shadow.policy, fresh.router, fresh.policy):
                shadow = fresh
            shadow.router = fresh.router
            state.shadows[wanted.name] = shadow
            if shadow is fresh:
                self._start_shadow(state, shadow, position, log)

    def _start_shadow(self, state: RouterState, shadow: RouterState, position: int, log: LogView) -> None:
        """Give a shadow the router's encoding, where it is of the kind that it needs, and learn under it."""
        if state.features is None or (shadow.features is not None and shadow.features.kind is _BLIND):
            return
        if shadow.policy.features is _BLIND:
            shadow.features = intercept_spec(state.features.input_dimension)
        elif shadow.policy.features is state.features.kind:
            shadow.features = state.features
        if shadow.features is not None:
            shadow.forgotten = state.forgotten
            shadow.changes.marks = list(state.changes.marks)
            self._rebuild(shadow, position, log, state.decision_count)

    def _apply_fit(self, position: int, record: FeatureFit, log: LogView) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        state.features = decode_spec(record.spec)
        state.fit_position = position if record.prompt_count else 0
        while record.prompt_count and state.next_fit <= state.prompt_count:
            state.next_fit *= FIT_GROWTH
        self._settle(state, position)
        self._rebuild(state, position, log, state.decision_count)
        for shadow in state.shadows.values():
            self._start_shadow(state, shadow, position, log)

    def _rebuild(self, state: RouterState, position: int, log: LogView, decision_count: int) -> None:
        """Learn anew from the log, but for shadows.

        How many decisions there had been at each outcome is not in the log: as if the newest of the *decision_count*
        had one each.
        """
        assert state.features is not None
        state.belief = make_belief(state.policy, state.features, state.router, self.catalog.models)
        state.changes.seen.clear()
        entries = [
            entry
            for entry in log.newest_outcomes(state.router.router_id, position, REBUILD_OUTCOMES_MAX)
            if not state.has_forgotten(entry.position)
        ]
        marks = [mark for mark in state.changes.marks if not state.has_forgotten(mark.position)]
        decisions = decision_count - len(entries)
        for entry in entries:
            decisions += 1
            while marks and marks[0].position < entry.position:
                do_again(state.belief, marks.pop(0), self.catalog.by_slot)
            if isinstance(entry.record, OutcomeRecord) and entry.record.ruling.lesson.metrics:
                decided = log.decision(entry.record.decision_position)
                lesson = entry.record.ruling.lesson
                self._learn_outcome(state, lesson, decisions, entry.time_ms, decided)
            elif isinstance(entry.record, ComparisonRecord) and entry.record.status is OutcomeStatus.APPLIED:
                self._learn_comparison(state, entry.record, log)
            elif isinstance(entry.record, Example):
                self._learn_example(state, entry.record, decisions, entry.time_ms)
            elif isinstance(entry.record, LeaderboardPrior):
                self._suppose(state, entry.record)
            elif isinstance(entry.record, Expiry) and entry.record.quality is not None:
                lesson = Lesson(quality=entry.record.quality)
                for decision_position in entry.record.decision_positions:
                    decided = log.decision(decision_position)
                    self._learn(state, decided.context, decided.slot, lesson, decisions, entry.time_ms, decided)
        for mark in marks:
            do_again(state.belief, mark, self.catalog.by_slot)

    def _apply_restore(self, position: int, record: Restore) -> None:
        state = self.routers.get(record.router_id)
        if state is None:
            return
        header, arrays = decode_state(record.state)
        state.load_belief(header, arrays)
        if state.belief is not None:
            for model in self.catalog.models:  # they may have changed since
                state.belief.change_model(None, model)
        # What the detectors have summed up and when a model was last seen belongs to the belief; the rest is as it is.
        then = Changes.of_header(header["changes"]) if "changes" in header else Changes()
        state.changes.sums, state.changes.seen = then.sums, then.seen
        for slot in (state.changes.sums.keys() | state.changes.seen.keys()) - self.catalog.by_slot.keys():
            state.changes.sums.pop(slot, None)
            state.changes.seen.pop(slot, None)
        state.changes.listen()
        self._settle(state, position)
        state.forgotten = (*state.forgotten, (record.policy_version, position))


def _health_values(slot: int, health: ModelHealth) -> list[Any]:
    results = [[time_ms, int(failure)] for time_ms, failure in health.results]
    return [slot, int(health.state), health.since_position, health.since_ms, health.until_ms, health.trips, results]


def _health_of(values: list[Any]) -> tuple[int, ModelHealth]:
    slot, state, since_position, since_ms, until_ms, trips, results = values
    read = tuple((time_ms, Failure(failure)) for time_ms, failure in results)
    return slot, ModelHealth(Health(state), since_position, since_ms, until_ms, trips, read)
