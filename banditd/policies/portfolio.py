"""A portfolio: a master over several policies that all learn from every outcome, and draws from the mix of their pmfs.

Which belief suits the traffic is not known beforehand. Running each policy on its own traffic, as corralling does
(Agarwal et al. 2017, arXiv:1612.06246), is needed where a policy learns only from its own choices. Our beliefs learn
from any choice with its propensity, so the master is one of experts with predictions (EXP4; Auer et al. 2002), and a
member that is hardly followed learns as much as the others.

**Record.** When the quality of a decision comes, each member is asked how it would have drawn, from what it knows
without that outcome, at the prices that were in force. The value of that pmf p is estimated doubly robustly with the
logged propensity q of the chosen model a: sum_k p_k b_k + min(p_a / q_a, 10) (u - b_a), where b are the utilities that
the decision expected (Dudik et al. 2011, arXiv:1103.4601; the cut of the ratio: Su et al. 2020, arXiv:1907.09623).
Where members agree their values are equal whatever the outcome, so that only disagreement is noise.

Of a prompt that is imported with the outcomes of several models each member's choice has a known value, without an
estimate: sum_k p_k u_k. So a history says who suits the traffic before the first decision. What money will be worth is
not known then: members are judged where it is worth nothing, and at the prices at which the best mix of this prompt's
models changes, drawing greedily there, as budgets have them do but for an allowance.

There are two records, of decisions in which money was worth nothing and of those in which it was worth something: who
finds the best model need not be who finds the best deal.

**Weights** are exponential in these records, with the learning rate of the second-order bound (Cesa-Bianchi, Mansour
and Stoltz 2007, Machine Learning 66): it falls with the root of the spread that the members' values have had, so there
is nothing to tune to the scale of utilities. What was imported has its own rate, for its values are exact: under that
of estimates it would soon count for little. Records fade with `memory`, for members get better as they learn, and
worlds change. Every member keeps `member_share`, so that its record goes on. Until there are some 64 outcomes of each
model, members that look at contexts count less from the start: `constant` is the safe one. With more it counts less.

Members differ in what they expect of quality. What a call costs and how long it takes is one question with one answer,
the weighted mean of theirs, which limits, budgets and members read alike. Vowpal Wabbit learns utilities at the
router's trade-off: where a budget's shadow price or a request makes it another one, it sits out, and its share goes to
the others.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from banditd.domain.arrays import AnyArray, Array32, Array64, Index, Mask, frozen
from banditd.domain.comparison import Comparison
from banditd.domain.context import Context
from banditd.domain.decision import Decision, Exclusion, Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.records import PastChoice
from banditd.errors import DataLossError, Reason
from banditd.features.spec import INTERCEPT, FeatureKind
from banditd.kernels import contrast
from banditd.kernels import contrasts as at
from banditd.kernels.decision import SECONDS_PER_MS
from banditd.kernels.exploration import greedy, softmax, ucb
from banditd.kernels.pacing import try_within
from banditd.policies.base import (
    Belief,
    BeliefSnapshot,
    ChangingBelief,
    ComparingBelief,
    ModelSummary,
    PolicySnapshot,
    Prediction,
    Question,
    Residuals,
    SupposingBelief,
    WitnessingBelief,
)
from banditd.policies.beliefs.shrinkage import price_ladder
from banditd.policies.registry import PolicyParameters

# Beyond, an estimate is what the baseline says: one lucky draw of the floor does not decide who is followed.
RATIO_MAX: Final = 10.0
# The variance that stands in the records before anything is seen: one value off by half the scale of utilities.
_VARIANCE_START: Final = 0.25
# sqrt(2 (sqrt(2) - 1) / (e - 2)), the constant of the bound.
_RATE: Final = 1.0740
# The two records.
_UNPRICED: Final = 0
_PRICED: Final = 1
# Of each the two parts: what decisions drew, and what was told of imported prompts.
_DRAWN: Final = 0
_TOLD: Final = 1
# Outcomes of each model after which contexts count half of what they may: the values of a projected row.
_OUTCOMES_PER_MODEL: Final = 64.0
_QUALITIES: Final = "portfolio/qualities"
_RECORDS: Final = "portfolio/values"
_MODELS: Final = "portfolio/models"


@dataclass(frozen=True, slots=True)
class Member:
    """One of the policies.

    Attributes:
        policy: The policy, resolved.
        belief: What it learns; the writer's thread only.
    """

    policy: PolicyParameters
    belief: Belief

    @property
    def name(self) -> str:
        """Name of its preset."""
        return self.policy.preset


@dataclass(frozen=True, slots=True)
class PortfolioSnapshot:
    """A frozen portfolio of M members over K models.

    Attributes:
        policies: The members' policies.
        beliefs: Their beliefs, frozen.
        weights: Shape (2, M): what each counts where money is worth nothing, and where it is; both sum to 1.
        mean_weights: Shape (M,): their mean, for what quality is expected is asked before anybody knows what money is
            worth.
        objective: The trade-off that members learn for which it is part of what is learnt.
    """

    policies: tuple[PolicyParameters, ...]
    beliefs: tuple[BeliefSnapshot, ...]
    weights: Array64
    mean_weights: Array64
    objective: Objective

    @property
    def learnt_count(self) -> int:
        """Qualities learnt so far, over all models."""
        return self.beliefs[0].learnt_count

    @property
    def evidence(self) -> None:
        """Not told."""
        return

    @property
    def latency_half_variance(self) -> Array64:
        """Half the variance of a log latency around what `predict` expects: shape (K,)."""
        return _mixed(self.weights[_PRICED], [belief.latency_half_variance for belief in self.beliefs])

    def predict(self, row: Array32, category: str = "") -> Prediction:
        """Return the weighted mean of what the members expect, and what each expects of quality.

        The deviation is a weighted mean, too: however the members' errors hang together, that of the weighted
        expectation is no larger. Costs and latencies are those of whoever finds the best deals.
        """
        said = [
            belief.predict(_seen(policy, row), category).values
            for policy, belief in zip(self.policies, self.beliefs, strict=True)
        ]
        return self._expected(said)

    def predict_rows(self, rows: Array32, categories: Sequence[str] | None = None) -> Prediction:
        """Return the same for rows (B, N), each bit-identical to `predict`."""
        said = [
            belief.predict_rows(_seen(policy, rows), categories).values
            for policy, belief in zip(self.policies, self.beliefs, strict=True)
        ]
        return self._expected(said)

    def _expected(self, said: list[Array64]) -> Prediction:
        """Return what is expected where the members say (4, K) or (B, 4, K)."""
        qualities = [each[..., :2, :] for each in said]
        charges = _mixed(self.weights[_PRICED], [each[..., 2:, :] for each in said])
        values = np.concatenate([_mixed(self.mean_weights, qualities), charges], axis=-2)
        return Prediction(values, np.stack(qualities, axis=-3))

    def fill_pmf(self, question: Question, eligible: Mask, out_pmf: Array64) -> None:
        """Write the mix of the members' pmfs."""
        mix = _mixed(self.weights[_record_of(question.objective)], list(self.member_pmfs(question, eligible)))
        np.divide(mix, mix.sum(), out=out_pmf)  # weights sum to 1 but for rounding, which no probability may be above

    def member_pmfs(self, question: Question, eligible: Mask) -> Array64:
        """Return each member's pmf, shape (M, K'); of one that sits out that of the others."""
        assert question.members is not None
        objective = question.objective
        worth = np.zeros(len(eligible))
        if objective.usd_weight > 0.0:
            worth -= objective.usd_weight * question.expected[2]
        if objective.second_weight > 0.0:
            worth -= (objective.second_weight * SECONDS_PER_MS) * question.expected[3]
        pmfs = np.zeros((len(self.beliefs), len(eligible)))
        awake = np.ones(len(self.beliefs), np.bool_)
        for m, (policy, belief) in enumerate(zip(self.policies, self.beliefs, strict=True)):
            quality, deviation = question.members[m]
            if not isinstance(belief, PolicySnapshot):
                _explore(quality + worth, deviation, eligible, policy.exploration, question, pmfs[m])
            elif objective == self.objective:
                belief.fill_pmf(question, eligible, pmfs[m])
            else:
                awake[m] = False
            if not np.isfinite(pmfs[m]).all():
                awake[m], pmfs[m] = False, 0.0
        if not awake.all():
            weights = np.where(awake, self.weights[_record_of(objective)], 0.0)
            total = float(weights.sum())
            pmfs[~awake] = _mixed(weights / total, list(pmfs)) if total > 0.0 else math.nan
        return pmfs


class PortfolioBelief:
    """A portfolio that learns; the writer's thread only.

    Args:
        policy: The router's.
        members: At least one of them no whole policy.
        objective: The router's trade-off.
        models: The catalogue.
    """

    def __init__(
        self,
        policy: PolicyParameters,
        members: tuple[Member, ...],
        objective: Objective,
        models: tuple[ModelSpec, ...],
    ) -> None:
        self._members = members
        self._objective = objective
        self._blind = np.array([member.policy.features is FeatureKind.INTERCEPT_ONLY for member in members])
        self._share_min = min(policy.values["member_share"], 1.0 / len(members))
        self._kept = 1.0 - 1.0 / policy.values["memory"]
        # By how much each member's values were above the portfolio's, and the sum of their variances, all faded: with
        # and without a price, drawn and told.
        self._records = np.zeros((2, 2, len(members) + 1))
        self._qualities = np.zeros(1)
        self._models = {model.slot: model for model in models}
        # The last snapshot and its models, as long as nothing was learnt since.
        self._last: tuple[tuple[ModelSpec, ...], PortfolioSnapshot] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The members' presets."""
        return tuple(member.name for member in self._members)

    @property
    def weights(self) -> Array64:
        """What each member counts, as in `PortfolioSnapshot`: shape (2, M)."""
        return np.stack([self._weights_by(records) for records in self._records])

    def _weights_by(self, records: Array64) -> Array64:
        count = len(self._members)
        rates = _RATE * np.sqrt(math.log(count + 1.0) / (_VARIANCE_START + records[:, -1]))
        shares = np.empty(count)
        softmax(rates @ records[:, :-1], np.ones(count, np.bool_), 1.0, shares)
        shares *= self._prior()
        shares /= shares.sum()
        return self._share_min + (1.0 - count * self._share_min) * shares

    def _prior(self) -> Array64:
        """Return what members count whatever their records are: shape (M,), sums to 1.

        While there are few outcomes those that are blind to contexts are the safe ones. As many coefficients as a row
        has take about as many outcomes of each model to be told from noise; then those that see them fall back on what
        a blind one knows by themselves, as far as contexts say nothing, and safety is no merit any more.
        """
        blind = int(self._blind.sum())
        seeing = len(self._members) - blind
        if blind == 0 or seeing == 0:
            return np.full(len(self._members), 1.0 / len(self._members))
        known = float(self._qualities[0]) / (float(self._qualities[0]) + _OUTCOMES_PER_MODEL * len(self._models))
        return np.where(self._blind, (1.0 - known) / blind, known / seeing)

    def learn(
        self,
        model: ModelSpec,
        row: Array32,
        lesson: Lesson,
        category: str = "",
        decision: Decision | None = None,
    ) -> Residuals | None:
        """Judge the members where a decision has got its quality, then have each learn; return the first one's errors.

        Judged before it is learnt: what a member is praised for it must have known without the outcome.
        """
        if decision is not None and lesson.quality is not None and math.isfinite(lesson.quality):
            self._judge_decision(row, lesson, lesson.quality, category, decision)
        self._last = None
        if lesson.quality is not None and math.isfinite(lesson.quality) and np.isfinite(row).all():
            self._qualities += 1.0
        residuals = [
            member.belief.learn(model, _seen(member.policy, row), lesson, category, decision)
            for member in self._members
        ]
        return residuals[0]

    def judge(self, context: Context, row: Array32, seen: Sequence[tuple[ModelSpec, Lesson]]) -> None:
        """Judge the members by what their choices among the models that were seen would have been worth."""
        known = [
            (model, lesson, lesson.quality)
            for model, lesson in seen
            if lesson.quality is not None and math.isfinite(lesson.quality) and model.slot in self._models
        ]
        if len(known) < 2 or not np.isfinite(row).all():
            return
        snapshot, candidates = self._asked([model.slot for model, _, _ in known])
        said = snapshot.predict(row, context.category)
        assert said.members is not None
        expected, members = said.values[:, candidates], said.members.take(candidates, axis=2)
        expected[2] += [0.0 if model.price is None else model.price.request_usd for model, _, _ in known]
        logged = expected[[0, 2, 3]].astype(np.float32)
        # Prices of money with what exploring may cost there: without a price, and where nobody says what a dollar is
        # worth, at those of the hull, within a budget.
        cases = [(0.0, math.inf)]
        if self._objective.usd_weight > 0.0:
            cases.append((self._objective.usd_weight, math.inf))
        else:
            cases += [(price, 0.0) for price in price_ladder(expected[0], expected[2])[1:]]
        values: tuple[list[Array64], list[Array64]] = ([], [])
        for price, allowance_usd in cases:
            objective = Objective(price, self._objective.second_weight)
            eligible = np.isfinite(expected[2]) if price > 0.0 else np.ones(len(known), np.bool_)
            if not eligible.any():
                continue
            question = Question(context, candidates, expected, members, objective, allowance_usd)
            worth = [
                _realised(lesson, quality, objective, logged[:, k]) for k, (_, lesson, quality) in enumerate(known)
            ]
            values[_record_of(objective)].append(snapshot.member_pmfs(question, eligible) @ np.array(worth))
        for records, each in zip(self._records, values, strict=True):
            mean = np.mean(each, axis=0) if each else np.array(math.nan)
            if np.isfinite(mean).all():
                # The lessons of a prompt have one weight.
                self._note(records, _TOLD, mean, known[0][1].weight)

    def widen(self, model: ModelSpec, metric: int) -> None:
        """Have every member take a metric for worth little."""
        for belief in self._changing():
            belief.widen(model, metric)

    def fade(self, model: ModelSpec, share: float) -> None:
        """Have every member keep a share of a model's evidence."""
        for belief in self._changing():
            belief.fade(model, share)

    def start_like(self, model: ModelSpec, sibling: ModelSpec) -> None:
        """Have every member expect what is expected of a sibling."""
        for belief in self._changing():
            belief.start_like(model, sibling)

    def compare(self, model_a: ModelSpec, model_b: ModelSpec, row: Array32, comparison: Comparison) -> None:
        """Have those members learn who did better that can."""
        self._last = None
        for member in self._members:
            if isinstance(member.belief, ComparingBelief):
                member.belief.compare(model_a, model_b, _seen(member.policy, row), comparison)

    def suppose(self, model: ModelSpec, quality: float, strength: float) -> None:
        """Set the prior of those members that have one; what the others learn is not touched."""
        self._last = None
        for member in self._members:
            if isinstance(member.belief, SupposingBelief):
                member.belief.suppose(model, quality, strength)

    def witness(
        self,
        context: Context,
        row: Array32,
        seen: Sequence[tuple[ModelSpec, Lesson]],
        choice: PastChoice | None,
    ) -> None:
        """Tell those members that learn choices what came of others' choices."""
        self._last = None
        for member in self._members:
            if isinstance(member.belief, WitnessingBelief):
                member.belief.witness(context, _seen(member.policy, row), seen, choice)

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went."""
        self._last = None
        for member in self._members:
            member.belief.change_model(old, new)
        if new is not None:
            self._models[new.slot] = new
        elif old is not None:
            self._models.pop(old.slot, None)

    def freeze(self, models: tuple[ModelSpec, ...], *, live: bool = False) -> PortfolioSnapshot:
        """Return what decisions read of *models*, in their order; *live* as `Belief.freeze` has it."""
        snapshot = self._frozen([member.belief.freeze(models, live=live) for member in self._members])
        self._last = (models, snapshot)
        return snapshot

    def freeze_faded(self, models: tuple[ModelSpec, ...], shares: Mapping[int, float]) -> PortfolioSnapshot:
        """Return `freeze` with the members' deviations widened."""
        return self._frozen(
            [
                member.belief.freeze_faded(models, shares)
                if isinstance(member.belief, ChangingBelief)
                else member.belief.freeze(models)
                for member in self._members
            ]
        )

    def summary(self, model: ModelSpec) -> ModelSummary:
        """Return what the member of the largest weight holds of one model."""
        return self._members[int(self.weights.sum(axis=0).argmax())].belief.summary(model)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays: the members' under their names, the records, and the models."""
        models = [self._models[slot] for slot in sorted(self._models)]
        arrays: dict[str, AnyArray] = {
            _RECORDS: self._records,
            _QUALITIES: self._qualities,
            _MODELS: np.frombuffer(msgspec.json.encode(models), np.uint8),
        }
        for member in self._members:
            arrays |= {f"{member.name}/{name}": array for name, array in member.belief.to_arrays().items()}
        return arrays

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        try:
            records, qualities = arrays[_RECORDS].copy(), arrays[_QUALITIES].copy()
            models = msgspec.json.decode(arrays[_MODELS].tobytes(), type=list[ModelSpec])
        except (KeyError, msgspec.MsgspecError) as error:
            raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected a portfolio, got {error}") from error
        if records.shape != self._records.shape or qualities.shape != (1,):
            raise DataLossError(
                Reason.CORRUPT_RECORD, f"snapshot: expected records {self._records.shape}, got {records.shape}"
            )
        for member in self._members:
            prefix = f"{member.name}/"
            member.belief.load_arrays(
                {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            )
        self._records, self._qualities, self._last = records, qualities, None
        self._models = {model.slot: model for model in models}

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.to_arrays().items():
            hasher.update(name.encode())
            hasher.update(array.tobytes())
        return hasher.digest()

    def _changing(self) -> list[ChangingBelief]:
        self._last = None
        return [member.belief for member in self._members if isinstance(member.belief, ChangingBelief)]

    def _frozen(self, beliefs: list[BeliefSnapshot]) -> PortfolioSnapshot:
        policies = tuple(member.policy for member in self._members)
        weights = self.weights
        return PortfolioSnapshot(
            policies, tuple(beliefs), frozen(weights), frozen(weights.mean(axis=0)), self._objective
        )

    def _judge_decision(self, row: Array32, lesson: Lesson, quality: float, category: str, decision: Decision) -> None:
        """Add to the records what each member's pmf was worth in a decision whose quality came."""
        choice, limits = decision.choice, decision.limits
        slots = decision.slots.tolist()
        eligible = [k for k in np.flatnonzero(choice.exclusions == Exclusion.ELIGIBLE).tolist() if choice.pmf[k] > 0.0]
        if limits.minimises_cost or choice.index not in eligible or not np.isfinite(row).all():
            return
        if any(slots[k] not in self._models for k in eligible):
            return  # a model was removed meanwhile
        expected = np.ascontiguousarray(choice.expected[:, eligible])
        pmfs = self._pmfs(row, category, decision, [slots[k] for k in eligible], expected)
        objective = Objective(decision.objective.usd_weight + choice.pacing.mean, decision.objective.second_weight)
        utility = _realised(lesson, quality, objective, choice.expected[:, choice.index])
        if not (np.isfinite(pmfs).all() and math.isfinite(utility)):
            return
        live, chosen = np.ascontiguousarray(choice.pmf[eligible]), eligible.index(choice.index)
        values = np.empty(len(self._members))
        told = np.empty(at.CONTRAST_WIDTH)
        for m, pmf in enumerate(pmfs):
            contrast(live, pmf, expected, objective.usd_weight, objective.second_weight, chosen, told)
            values[m] = told[at.SHADOW] + min(told[at.WEIGHT], RATIO_MAX) * (utility - told[at.EXPECTED])
        self._note(self._records[_record_of(objective)], _DRAWN, values, 1.0)

    def _pmfs(self, row: Array32, category: str, decision: Decision, slots: list[int], expected: Array32) -> Array64:
        """Return how the members would draw a decision among *slots* now, shape (M, K'), over its shadow prices."""
        snapshot, candidates = self._asked(slots)
        said = snapshot.predict(row, category).members
        assert said is not None
        members = said.take(candidates, axis=2)
        # Costs and latencies are those that were logged, with what was charged beside tokens.
        values = np.vstack([expected[0], np.zeros(len(slots)), expected[1:]]).astype(np.float64)
        everyone = np.ones(len(slots), np.bool_)
        pmfs = np.zeros((len(self._members), len(slots)))
        for price, share in decision.choice.pacing.prices:
            objective = Objective(decision.objective.usd_weight + price, decision.objective.second_weight)
            question = Question(
                decision.context, candidates, values, members, objective, decision.choice.pacing.allowance_usd
            )
            pmfs += share * snapshot.member_pmfs(question, everyone)
        return pmfs

    def _asked(self, slots: list[int]) -> tuple[PortfolioSnapshot, Index]:
        """Return a snapshot of the state as it is, and where in it the models of *slots* are.

        It is the last one where that is still the state: the one that the decision before this outcome read. What is
        said of a model does not depend on which others a snapshot has.
        """
        if self._last is None or not set(slots) <= {model.slot for model in self._last[0]}:
            self.freeze(tuple(self._models[slot] for slot in sorted(self._models)), live=True)
        assert self._last is not None
        models, snapshot = self._last
        place = {model.slot: k for k, model in enumerate(models)}
        return snapshot, np.array([place[slot] for slot in slots], np.int64)

    def _note(self, records: Array64, source: int, values: Array64, count: float) -> None:
        """Add the members' values, as those of *count* decisions, to one of the records."""
        weights, record = self._weights_by(records), records[source]
        gains = values - float(np.sum(weights * values))
        records *= self._kept**count
        record[:-1] += count * gains
        record[-1] += count * float(np.sum(weights * gains * gains))


def _record_of(objective: Objective) -> int:
    """Return which of the two records is about such a trade-off."""
    return _PRICED if objective.usd_weight > 0.0 else _UNPRICED


def _seen(policy: PolicyParameters, rows: Array32) -> Array32:
    """Return what a policy sees of a row, or of rows: one that is blind to contexts only the intercept."""
    if policy.features is FeatureKind.INTERCEPT_ONLY:
        return np.ascontiguousarray(rows[..., INTERCEPT : INTERCEPT + 1])
    return rows


def _explore(
    utility: Array64, deviation: Array64, eligible: Mask, alpha: float, question: Question, out_pmf: Array64
) -> None:
    """Write how a member draws: by upper confidence bounds, within the allowance."""
    if math.isinf(question.allowance_usd):
        ucb(utility, deviation, eligible, alpha, out_pmf)
        return
    greedy(utility, eligible, out_pmf)
    cost, losses = np.ascontiguousarray(question.expected[2]), np.full(len(utility), math.inf)
    try_within(utility, deviation, cost, eligible, alpha, question.allowance_usd, losses, out_pmf)


def _mixed(weights: Array64, parts: Sequence[Array64]) -> Array64:
    """Return the weighted sum of arrays of one shape, from the first to the last."""
    total: Array64 = weights[0] * parts[0]
    for weight, part in zip(weights[1:], parts[1:], strict=True):
        total += weight * part
    return total


def _realised(lesson: Lesson, quality: float, objective: Objective, expected: Array32) -> float:
    """Return the utility of what was seen, cut as `kernels.contrasts` cuts utilities; else what was expected counts."""
    utility = quality
    if objective.usd_weight > 0.0:
        cost = float(expected[1]) if lesson.cost_usd is None else lesson.cost_usd
        utility -= 0.0 if math.isnan(cost) else objective.usd_weight * cost
    if objective.second_weight > 0.0:
        latency = float(expected[2]) if lesson.latency_ms is None else lesson.latency_ms
        utility -= objective.second_weight * SECONDS_PER_MS * latency
    least = at.REWARD_MIN if objective.usd_weight > 0.0 or objective.second_weight > 0.0 else 0.0
    return min(max(utility, least), at.REWARD_MAX)
