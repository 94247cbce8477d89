"""The linear belief: per model and metric, Bayesian ridge regression on the encoded context.

Quality is regressed as it is, cost as log(cost / blended price) and latency as its log. Each regression has its own
sufficient statistics, since metrics arrive separately. With an intercept-only encoding this is the context-free belief.

The penalty of the intercept is far below those of the slopes: the belief starts as one constant per model and earns its
dependence on the context. How much evidence that takes for quality is learnt too (`slope_prior`).
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array32, Array64, frozen
from banditd.domain.comparison import Comparison
from banditd.domain.decision import Decision
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, Metric
from banditd.features.spec import INTERCEPT, LENGTH, FeatureSpec
from banditd.kernels.decision import predict_models_rows
from banditd.kernels.rounds import play_rounds
from banditd.policies.base import ModelSummary, Residuals
from banditd.policies.beliefs.arm import Arm
from banditd.policies.beliefs.difference import difference
from banditd.policies.beliefs.judges import Judges, is_of_judges
from banditd.policies.beliefs.linear_snapshot import LinearSnapshot, Mirror
from banditd.policies.beliefs.measures import (
    COST,
    LATENCY,
    NOISE_GUESS_COUNT,
    QUALITY,
    cost_offset,
    expected,
    log_price,
    measured,
    prior_means,
    shift_of_costs,
)
from banditd.policies.beliefs.regression import Regression
from banditd.policies.beliefs.slope_prior import SlopePrior, is_of_slope_prior, loaded, penalties_of
from banditd.policies.registry import PolicyParameters
from banditd.policies.rule import NONE_GIVEN, Numbers, Rule
from banditd.policies.stretch import ROUNDS_MAX, Pace, Stretch

METRICS: Final = (Metric.QUALITY, Metric.COST, Metric.LATENCY)


class LinearBelief:
    """A linear belief that learns; the writer's thread only.

    Args:
        parameters: Of the policy.
        features: How rows are encoded, N values each.
        quality_guess: Of a model that has none of its own.
    """

    def __init__(self, parameters: PolicyParameters, features: FeatureSpec, quality_guess: float) -> None:
        self._retention = parameters.retention
        self._quality_guess = quality_guess
        width = features.row_width
        # By metric; the data choose those of quality.
        self._penalties = np.stack([penalties_of(width, parameters.slope_penalty, parameters.intercept_penalty)] * 3)
        self._slope_prior = SlopePrior(
            features, parameters.slope_penalty, parameters.intercept_penalty, forgets=parameters.retention < 1.0
        )
        self._chooses = parameters.shrinkage >= 0.5 and width > 1
        self._arms: dict[int, Arm] = {}
        self._judges = Judges()
        self._learnt_count = 0
        # What decisions read, as it was when frozen last, and the models that have changed since, by slot.
        self._mirror: Mirror | None = None
        self._changed: set[int] = set()

    def learn(
        self,
        model: ModelSpec,
        row: Array32,
        lesson: Lesson,
        category: str = "",  # noqa: ARG002 - as others have it
        decision: Decision | None = None,  # noqa: ARG002 - as others have it
    ) -> Residuals:
        """Learn what was seen of one model.

        Args:
            model: The model.
            row: Shape (N,), float32, finite.
            lesson: Finite values.
            category: Not looked at.
            decision: Not looked at.
        """
        arm, values = self._arm(model), measured(model, lesson)
        before = arm.quality.count
        residuals = arm.learn(row, values, self._penalties, self._retention, lesson.weight)
        self._changed.add(model.slot)
        # Not by the residual, which is none where all errors were 0.
        if arm.quality.count > before:
            self._learnt_count += 1
            if self._chooses:
                self._slope_prior.add(model.slot, row, values[QUALITY], weight=lesson.weight, retention=self._retention)
                if self._slope_prior.count(1):
                    self._choose_prior()
        return residuals

    def learn_rows(self, models: Sequence[ModelSpec], rows: Array32, lessons: Sequence[Lesson]) -> None:
        """Do `learn` for each of B models, rows (B, N) and lessons, bit for bit.

        Models are learnt apart but for the prior that they share: lessons of one model keep their order, up to where
        the prior is chosen anew.
        """
        values = np.array([measured(model, lesson) for model, lesson in zip(models, lessons, strict=True)])
        weights = np.array([lesson.weight for lesson in lessons])
        slots = np.array([model.slot for model in models])
        qualities = np.cumsum(np.isfinite(values[:, QUALITY]))
        begin = counted = 0
        while begin < len(rows):
            end = len(rows)
            if self._chooses:
                # With the quality that makes a choice due.
                end = min(int(np.searchsorted(qualities, counted + self._slope_prior.room)) + 1, end)
            for slot in np.unique(slots[begin:end]).tolist():
                own = begin + np.flatnonzero(slots[begin:end] == slot)
                arm = self._arm(models[own[0]])
                arm.learn_rows(rows[own], values[own], self._penalties, self._retention, weights[own])
                if self._chooses:
                    self._slope_prior.add_rows(slot, rows[own], values[own], weights[own], self._retention)
                self._changed.add(slot)
            learnt = int(qualities[end - 1]) - counted
            self._learnt_count += learnt
            if self._chooses and self._slope_prior.count(learnt):
                self._choose_prior()
            begin, counted = end, counted + learnt

    @property
    def rounds_max(self) -> int:
        """Rounds that `play` may be given: up to where the prior is chosen anew."""
        return min(self._slope_prior.room, ROUNDS_MAX) if self._chooses else ROUNDS_MAX

    def play(self, stretch: Stretch, rule: Numbers, detectors: Array64 | None, support: Array64, pace: Pace) -> int:
        """Decide and `learn` round by round, bit for bit as one by one; return how many were played.

        Args:
            stretch: At most `rounds_max` rounds among the models of the last `freeze`, since which nothing was learnt.
            rule: By which is decided, as it is at the start.
            detectors: Shape (K, 3, 3), updated: an alarm ends the stretch. None where nobody watches.
            support: Shape (L, 2), updated: as `kernels.decision.count_support` has it.
            pace: Of the budget, updated.
        """
        mirror = self._mirror
        assert mirror is not None
        assert not self._changed
        models, to = mirror.models, mirror.snapshot
        arms = [self._peek(model) for model in models]
        a_invs, thetas, numbers, priors = (
            np.stack([getattr(arm, part) for arm in arms]) for part in ("a_inv", "theta", "numbers", "prior")
        )
        played: int = play_rounds(
            stretch.rows,
            stretch.seen,
            stretch.costs,
            stretch.uniforms,
            mirror.slots,
            *Rule(*rule)._replace(evidence=to.evidence),
            NONE_GIVEN,
            self._retention,
            priors,
            self._penalties,
            mirror.log_prices,
            NOISE_GUESS_COUNT,
            0 if detectors is None else 1,
            a_invs,
            thetas,
            numbers,
            to.theta,
            to.a_inv,
            to.offsets,
            np.zeros((len(models), 3, 3)) if detectors is None else detectors,
            support,
            pace.budget_usd,
            pace.exploration_share,
            pace.numbers,
            pace.contexts,
            pace.answers,
            stretch.codes,
            stretch.pmf,
            stretch.expected,
            stretch.index,
            stretch.pacing,
        )
        learnt, index = 0, stretch.index[:played]
        for k in np.flatnonzero(np.bincount(index)).tolist():
            arm, own = self._arm(models[k]), np.flatnonzero(index == k)
            arm.a_inv[:], arm.theta[:], arm.numbers[:] = a_invs[k], thetas[k], numbers[k]
            seen = stretch.seen[own, k]
            learnt += int(np.count_nonzero(~np.isnan(seen[:, QUALITY])))
            if self._chooses:
                rows, weights = stretch.rows[own], np.ones(len(own))
                self._slope_prior.add_rows(models[k].slot, rows, seen, weights, self._retention)
        self._learnt_count += learnt
        if self._chooses and self._slope_prior.count(learnt):
            self._choose_prior()
        return played

    def recall(self, count_max: int) -> Array32:
        """Return some of the contexts of which a quality was learnt, shape (n, N); none where no prior is chosen."""
        return self._slope_prior.contexts[:count_max]

    def widen(self, model: ModelSpec, metric: int) -> None:
        """Take what was learnt of one metric for worth little: it has changed."""
        if model.slot in self._arms:
            share = self._arms[model.slot].regressions[metric].open_up(self._penalties[metric])
            if metric == QUALITY:
                self._slope_prior.fade(model.slot, share)
                self._slope_prior.free_level(model.slot)
            self._changed.add(model.slot)

    def fade(self, model: ModelSpec, share: float) -> None:
        """Keep a share of the evidence of a model."""
        if model.slot in self._arms:
            for regression, penalties in zip(self._arms[model.slot].regressions, self._penalties, strict=True):
                regression.fade(share, penalties)
            self._slope_prior.fade(model.slot, share)
            self._changed.add(model.slot)

    def start_like(self, model: ModelSpec, sibling: ModelSpec) -> None:
        """Guess of a model, of which nothing is seen, what is expected of *sibling*."""
        if sibling.slot in self._arms and model.slot not in self._arms:
            ours, theirs = self._arm(model).regressions, self._arms[sibling.slot].regressions
            for regression, like in zip(ours, theirs, strict=True):
                if like.count:
                    regression.start_like(like)
            self._changed.add(model.slot)

    def freeze_faded(self, models: tuple[ModelSpec, ...], shares: Mapping[int, float]) -> LinearSnapshot:
        """Return `freeze` with the deviations of quality that `fade` to these shares, by slot, would about give.

        Evidence of which a share is left has deviations larger by one over its root, up to about those of the prior,
        which are the largest there are: no less is left than one part of as many as there are values and one more.
        """
        snapshot = self.freeze(models)
        share = np.array([shares.get(model.slot, 1.0) for model in models])
        kept = np.maximum(share, 1.0 / (1.0 + snapshot.evidence))
        offsets = snapshot.offsets.copy()
        offsets[QUALITY] /= np.sqrt(kept)
        evidence = frozen(kept * snapshot.evidence)
        return LinearSnapshot(snapshot.theta, snapshot.a_inv, frozen(offsets), evidence, snapshot.learnt_count)

    def compare(self, model_a: ModelSpec, model_b: ModelSpec, row: Array32, comparison: Comparison) -> None:
        """Learn who did better, as an observation of the difference of the two qualities.

        If each answer is good with the probability that is its quality, and a judge prefers a good one and has none to
        prefer among equals, then 1 for a, -1 for b and 0 for a tie has the expectation quality_a - quality_b (the
        linear link of Ailon, Karnin and Joachims 2014, arXiv:1405.3396), so that a vote is an unbiased observation of
        it, of variance at most 1. Bias of the place and reliability are corrected as `judges` has them: a judge of
        reliability r says (2 r - 1) times that.
        """
        a, b = self._arm(model_a).quality, self._arm(model_b).quality
        seen = difference(a, b, row, comparison, self._judges)
        if seen is None:
            return
        # Each learns what the vote says of it given the other as expected, whose uncertainty is part of the noise.
        quality_a, variance_a, quality_b, variance_b = seen.qualities
        self._observe(model_a, row, quality_b + seen.value, seen.variance + variance_b)
        self._observe(model_b, row, quality_a - seen.value, seen.variance + variance_a)
        if self._chooses and self._slope_prior.count(1):
            self._choose_prior()

    def suppose(self, model: ModelSpec, quality: float, strength: float) -> None:
        """Set the prior of a model's quality at the average prompt."""
        self._arm(model).quality.suppose(quality, strength, float(self._penalties[QUALITY, INTERCEPT]))
        if self._chooses:
            self._slope_prior.suppose(model.slot, quality, strength)
        self._changed.add(model.slot)

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went."""
        if new is None:
            if old is not None and old.slot in self._arms:
                self._learnt_count -= self._arms.pop(old.slot).quality.count
                self._slope_prior.drop(old.slot)
            return
        arm = self._arms.get(new.slot)
        if arm is None:
            return  # it starts from its prior when something of it is learnt
        self._changed.add(new.slot)
        arm.cost.log_price = log_price(new)
        if old is None:
            return
        arm.cost.shift_values(shift_of_costs(old, new))
        penalty = float(self._penalties[QUALITY, INTERCEPT])
        before, after = prior_means(old, self._quality_guess), prior_means(new, self._quality_guess)
        for metric in (QUALITY, LATENCY):
            # Only where the guess is another: what a sibling has lent stays.
            if before[metric] != after[metric]:
                arm.regressions[metric].move_prior(after[metric], penalty)

    def freeze(self, models: tuple[ModelSpec, ...], *, live: bool = False) -> LinearSnapshot:
        """Return what decisions read of *models*, in their order.

        Args:
            models: The models.
            live: Whether the snapshot is done with before the belief changes again, and so need not be a copy.
        """
        mirror = self._mirror
        if mirror is None or not (mirror.models is models or mirror.models == models):
            mirror = self._mirror = Mirror(models, self._penalties.shape[1])
            self._changed.update(mirror.places)
        for slot in self._changed:
            k = mirror.places.get(slot)
            if k is not None:
                mirror.write(k, self._peek(models[k]))
        self._changed.clear()
        if mirror.snapshot.learnt_count != self._learnt_count:
            mirror.count(self._learnt_count)
        return mirror.snapshot if live else mirror.copied()

    def summary(self, model: ModelSpec) -> ModelSummary:
        """Return what is held of one model; the average prompt is the row that is 0 but for its intercept."""
        quality, cost, latency = self._peek(model).regressions
        cost_usd = expected(float(cost.theta[INTERCEPT]), cost_offset(model, cost.noise_variance, cost.count))
        return ModelSummary(
            quality_count=quality.count,
            cost_count=cost.count,
            latency_count=latency.count,
            quality=float(quality.theta[INTERCEPT]),
            deviation=math.sqrt(quality.noise_variance * max(float(quality.a_inv[INTERCEPT, INTERCEPT]), 0.0)),
            cost_usd=None if math.isnan(cost_usd) else cost_usd,
            latency_ms=expected(float(latency.theta[INTERCEPT]), 0.5 * latency.noise_variance),
        )

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays."""
        arrays: dict[str, AnyArray] = {}
        for slot in sorted(self._arms):
            for metric, regression in zip(METRICS, self._arms[slot].regressions, strict=True):
                for part in Regression.__slots__:
                    arrays[f"{slot}/{metric.name}/{part}"] = getattr(regression, part)
        if self._chooses:
            arrays |= self._slope_prior.to_arrays()
        return arrays | self._judges.to_arrays()

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        own = (name for name in arrays if not is_of_judges(name) and not is_of_slope_prior(name))
        arms: dict[int, Arm] = {}
        for slot in sorted({int(name.split("/")[0]) for name in own}):
            arm = arms[slot] = Arm(self._penalties, (0.0, 0.0, 0.0), np.zeros(self._penalties.shape[1]))
            for metric, regression in zip(METRICS, arm.regressions, strict=True):
                for part in Regression.__slots__:
                    array = getattr(regression, part)
                    array[:] = loaded(arrays, f"{slot}/{metric.name}/{part}", array.shape)
        if self._chooses:
            self._slope_prior.load_arrays(arrays)
            self._penalties[QUALITY] = self._slope_prior.penalties
        self._judges.load_arrays(arrays)
        self._arms, self._mirror = arms, None
        self._learnt_count = sum(arm.quality.count for arm in arms.values())
        self._changed.clear()

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.to_arrays().items():
            hasher.update(name.encode())
            hasher.update(array.tobytes())
        return hasher.digest()

    @property
    def slope_penalty(self) -> float:
        """Prior precision of a slope of quality, categories' apart, in units of the noise: configured, then chosen."""
        return float(self._slope_prior.penalties[LENGTH])

    def _choose_prior(self) -> None:
        """Put every model on a prior of its quality that is chosen anew."""
        arms = [self._arms[slot] for slot in self._slope_prior.slots]
        moved = self._slope_prior.choose(
            np.array([arm.quality.prior for arm in arms]),
            np.array([arm.quality.noise_variance for arm in arms]),
            lambda rows: _expected_costs(arms, rows),
        )
        if moved is None:
            return
        self._penalties[QUALITY] = self._slope_prior.penalties
        for slot, arm in self._arms.items():
            quality = arm.quality
            quality.prior += moved
            quality.a_inv[:], quality.theta[:] = self._slope_prior.posterior(slot, quality.prior)
        # All of it is another one, also of models of which nothing was seen.
        self._mirror = None

    def _observe(self, model: ModelSpec, row: Array32, value: float, variance: float) -> None:
        """Learn what amounts to a quality of known variance."""
        quality = self._arm(model).quality
        if self._chooses:
            self._slope_prior.add(model.slot, row, value, weight=quality.noise_variance / variance)
        quality.observe(row, value, variance)
        self._changed.add(model.slot)

    def _arm(self, model: ModelSpec) -> Arm:
        """Return the model's regressions, to be learnt by."""
        arm = self._arms.get(model.slot)
        if arm is None:
            arm = self._arms[model.slot] = self._prior(model)
        return arm

    def _peek(self, model: ModelSpec) -> Arm:
        """Return the model's regressions, to be read: a model that was only looked at is no part of the state."""
        return self._arms.get(model.slot) or self._prior(model)

    def _prior(self, model: ModelSpec) -> Arm:
        arm = Arm(self._penalties, prior_means(model, self._quality_guess), self._slope_prior.slopes)
        arm.cost.log_price = log_price(model)
        return arm


def _expected_costs(arms: list[Arm], rows: Array32) -> Array64:
    """Return what each model is expected to cost in each context, shape (B, K); NaN where nothing is known."""
    width, count = rows.shape[1], len(arms)
    theta = np.zeros((width, 3, count), np.float32)
    for k, arm in enumerate(arms):
        theta[:, COST, k] = arm.cost.theta
    offsets = np.zeros((3, count))
    # Without a price the cost is known in dollars, as far as it was reported.
    prices = [0.0 if math.isnan(arm.cost.log_price) and arm.cost.count else arm.cost.log_price for arm in arms]
    offsets[COST] = [price + 0.5 * arm.cost.noise_variance for price, arm in zip(prices, arms, strict=True)]
    values = np.empty((len(rows), 4, count))
    predict_models_rows(theta, np.zeros((width, width, count), np.float32), offsets, rows, values)
    return np.ascontiguousarray(values[:, 2, :])
