"""One router's learnt state: what the fold keeps of it, and its bytes. No thread, clock or disk."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from banditd.catalog.eligibility import exclusions_of
from banditd.catalog.models import Catalog
from banditd.domain.arrays import AnyArray, Array32
from banditd.domain.context import INPUT_TOKENS_UNKNOWN, Context, embeddings_of
from banditd.domain.decision import NO_LIMITS
from banditd.domain.model import ModelSpec
from banditd.domain.promotion import Promotion, PromotionCause, Verdict
from banditd.domain.records import FeatureFit, RouterChange
from banditd.domain.router import PolicySpec, RouterSpec, promoted
from banditd.errors import DataLossError, FailedPreconditionError, Reason
from banditd.evaluation import Account, judge
from banditd.features.fit import fit_spec, seed_of, seeded_spec
from banditd.features.spec import INTERCEPT, FeatureKind, FeatureSpec, decode_spec, encode_spec
from banditd.learner.arrival import Arrival
from banditd.learner.changes import Changes
from banditd.learner.support import Support
from banditd.objective.charges import fees_of
from banditd.objective.pacer import CONTEXTS, Pacer, PacerView
from banditd.policies.base import Belief, BeliefSnapshot, Prediction, RecallingBelief
from banditd.policies.beliefs.factory import make_belief
from banditd.policies.registry import PRESETS, PolicyParameters, resolve
from banditd.policies.snapshot_codec import decode_state, encode_state
from banditd.routing.sessions import Sessions
from banditd.routing.snapshot import RouterSnapshot, offered_models

# The encoding is fitted when this many prompts have been seen, and again each time there are four times as many: often
# while a fit still changes much, then ever more rarely.
FIRST_FIT_PROMPTS: Final = 256
FIT_GROWTH: Final = 4
# Prompts that a fit looks at, the newest first.
FIT_PROMPTS_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a policy encodes, and when that is fitted again; as in `RouterState`."""

    features: FeatureSpec | None
    fit_position: int
    next_fit: int


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
        support: The probabilities with which each model could have been drawn.
        example_count: Examples learnt.
        comparison_count: Comparisons learnt.
        observed: Decisions resolved with a quality.
        expired: Decisions whose window closed without one.
        censored: Decisions of which quality will never be learnt.
        fit_position: Position of the last fit, also of one that left the encoding as it was; 0 for the seeded start.
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
    support: Support = field(default_factory=Support)
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

    def note_change(self, decision_count: int, time_ms: int) -> None:
        """Take note that what it decides by is about to differ, after so many decisions of the router."""
        self.changes.decisions, self.changes.time_ms = decision_count, time_ms
        self.preview = None

    @property
    def start_position(self) -> int:
        """Where the router was made. What was decided before, under its name, was another's."""
        return self.forgotten[0][1] if self.forgotten else 0

    @property
    def forgotten_to(self) -> int:
        """The last position that may be forgotten."""
        return max((high for _, high in self.forgotten), default=0)

    def has_forgotten(self, position: int) -> bool:
        """Return whether a restored snapshot has taken back what stands at *position*."""
        return any(low < position <= high for low, high in self.forgotten)

    @property
    def prompt_count(self) -> int:
        """Prompts seen."""
        return self.decision_count + self.example_count

    @property
    def encodings(self) -> dict[FeatureKind, Encoding]:
        """The encodings of its policies by kind.

        Those of a kind share one, but between a restore, which takes back that of the policy that decides, and the next
        fit: then it is that policy's.
        """
        return {each.features.kind: each.encoding for each in reversed(self.everyone) if each.features is not None}

    @property
    def encoding(self) -> Encoding:
        """By what it encodes, and when that is fitted."""
        return Encoding(self.features, self.fit_position, self.next_fit)

    def encode_by(self, encoding: Encoding) -> None:
        """Take another encoding; the belief does not know of it yet."""
        self.features, self.fit_position, self.next_fit = encoding.features, encoding.fit_position, encoding.next_fit

    @property
    def prompts_to_fit(self) -> float:
        """Prompts until enough have been seen to fit an encoding (again); infinite where none needs a fit."""
        return min((each.next_fit for each in self.everyone if each.is_fitted), default=math.inf) - self.prompt_count

    @property
    def is_fitted(self) -> bool:
        """Whether it has an encoding that is fitted."""
        return self.features is not None and self.features.kind is not FeatureKind.INTERCEPT_ONLY

    @property
    def fit_is_due(self) -> bool:
        """Whether enough prompts have been seen to fit an encoding (again)."""
        return self.prompts_to_fit <= 0

    def pacer_view(self, models: tuple[ModelSpec, ...], belief: BeliefSnapshot | None) -> PacerView | None:
        """Return its budget as it stands, given what is believed of *models* now."""
        if self.pacer is None:
            return None
        past = None
        if self.pacer.asks_for_past and belief is not None:
            past = self._past(models, belief)
        share, change = self.router.exploration_share, self.policy.change
        # What a newcomer may have of the traffic he may have of the money: of a share of the latter he would be known
        # much later, and what he costs the others make good.
        paid = max(share, change.newcomer_share) if self.changes.newcomers else share
        return self.pacer.view(past, self.router.objective, paid)

    def start_pacer(self, models: tuple[ModelSpec, ...]) -> None:
        """Give the pacer, before its first decision, the contexts that are remembered."""
        assert self.pacer is not None
        if self.belief is not None and models:
            past = self._past(models, self.changes.freeze(self.belief, models, self.policy.change))
            self.pacer.recall([model.slot for model in models], past, self.router.objective)

    def reconsider_price(self, catalog: Catalog, time_ms: int) -> None:
        """Have the budget's price follow what is believed now, while what decisions expected is of before an alarm.

        Where the belief remembers no contexts, those of the decisions have to do: the average prompt is no match.
        """
        if self.pacer is None or not self.pacer.is_in_doubt or self.belief is None:
            return
        rows = self._recalled()
        if len(rows):
            models = self.offered(catalog)
            belief = self.changes.freeze(self.belief, models, self.policy.change, live=True)
            self.pacer.reconsider(self._expected(models, belief, rows), self.router.objective, time_ms)

    def _recalled(self) -> Array32:
        """Return the contexts that the belief remembers, shape (n, N); none where it remembers none."""
        assert self.features is not None
        nothing = np.empty((0, self.features.row_width), np.float32)
        return self.belief.recall(CONTEXTS) if isinstance(self.belief, RecallingBelief) else nothing

    def _past(self, models: tuple[ModelSpec, ...], belief: BeliefSnapshot) -> Prediction:
        """Return what is expected of *models* in contexts of the past: of the average one where none is remembered."""
        assert self.features is not None
        rows = self._recalled()
        if not len(rows):
            rows = np.zeros((1, self.features.row_width), np.float32)
            rows[0, INTERCEPT] = 1.0
        return self._expected(models, belief, rows)

    def _expected(self, models: tuple[ModelSpec, ...], belief: BeliefSnapshot, rows: Array32) -> Prediction:
        """Return what is expected of *models* in contexts (n, N), fees included; no quality of who cannot serve."""
        said = Prediction(belief.predict_rows(rows).values.copy())
        said.quality[:, exclusions_of(models, limits=NO_LIMITS, input_tokens=INPUT_TOKENS_UNKNOWN) != 0] = np.nan
        said.cost_usd[:] += fees_of(models)
        return said

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
            "support": self.support.to_rows(),
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
        self.support.load_rows(header["support"])
        self.example_count = header["examples"]
        self.comparison_count = header["comparisons"]
        self.observed, self.expired, self.censored = header["resolved"]
        self.fit_position, self.next_fit = header["fit"]
        self.forgotten = tuple((span[0], span[1]) for span in header["forgotten"])
        self.sessions.load(bytes.fromhex(header.get("sessions", "")))
        if "changes" in header:
            self.changes = Changes.of_header(header["changes"])
        self._share_encodings()

    def _share_encodings(self) -> None:
        """Have policies that encode alike do so by one object, so that a prompt is encoded once for them all."""
        known: dict[str, Encoding] = {}
        for each in self.everyone:
            if each.features is not None:
                each.encode_by(known.setdefault(each.features.fingerprint, each.encoding))


# What other arrays are called beside those of a belief.
_PACER: Final = "pacer/"
_ARRIVAL: Final = "arrival/"
_ACCOUNT: Final = "account/"
_SHADOWS: Final = "shadows/"
_BESIDE_BELIEF: Final = (_PACER, _ARRIVAL, _ACCOUNT, _SHADOWS)


def _below(prefix: str, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _all_parameters(header: Mapping[str, Any]) -> dict[str, float]:
    """Return the parameters that a state was learnt with; one that its version did not know had its default."""
    preset = PRESETS.get(header["preset"])
    known = {} if preset is None else {name: parameter.default for name, parameter in preset.parameters.items()}
    known.update(header["parameters"])
    return known


def seeded_start(router: RouterSpec, kind: FeatureKind) -> FeatureFit:
    """Return the encoding of a kind that a router starts with, whose embedding dimension is known."""
    spec = seeded_spec(kind, router.embedding_dimension, seed_of(router.router_id))
    return FeatureFit(router.router_id, encode_spec(spec), 0)


def missing_fits(router: RouterSpec, state: RouterState | None = None) -> tuple[FeatureFit, ...]:
    """Return the seeded starts that a router needs before its policies can decide, that of the deciding one first.

    Args:
        router: As it is to be.
        state: As it is; None for a new one. Encodings that are there need no start, nor do shadows that encode nothing.
    """
    if router.embedding_dimension == 0:
        return ()
    there = set() if state is None else set(state.encodings)
    wanted = [resolve(router.policy).features]
    wanted += [
        kind for shadow in router.shadows if (kind := resolve(shadow.policy).features) is not FeatureKind.INTERCEPT_ONLY
    ]
    return tuple(seeded_start(router, kind) for kind in dict.fromkeys(wanted) if kind not in there)


def due_fit(state: RouterState, contexts: Sequence[Context]) -> FeatureFit:
    """Return the encoding that is due first, fitted on the newest prompts.

    Args:
        state: A router whose `fit_is_due`.
        contexts: Its newest prompts, oldest first.
    """
    features = min((each for each in state.everyone if each.is_fitted), key=lambda each: each.next_fit).features
    assert features is not None
    categories = [context.category for context in contexts]
    spec = fit_spec(features.kind, embeddings_of(contexts), seed_of(state.router.router_id), features, categories)
    return FeatureFit(state.router.router_id, encode_spec(spec), len(contexts))


def promotion_records(state: RouterState, promotion: Promotion, now_ms: int) -> tuple[Promotion, RouterChange]:
    """Return what is logged of a promotion: the fact, and the settings that it makes, which a start reads alone."""
    router = replace(promoted(state.router, promotion.name), update_time_ms=now_ms)
    return promotion, RouterChange(router.router_id, router)
