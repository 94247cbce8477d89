"""The linear belief: per model and metric, Bayesian ridge regression on the encoded context.

Quality is regressed as it is, cost as log(cost / blended price) and latency as its log. Each regression has its own
sufficient statistics, since metrics arrive separately. With an intercept-only encoding this is the context-free belief.

Per regression, with noise variance s2, prior mean m (the guess on the intercept, 0 elsewhere) and prior precision
diag(penalty) / s2, the posterior after rows x_i with values y_i is Gaussian with

    A = diag(penalty) + sum x_i x_i',   theta = m + A^-1 sum x_i (y_i - x_i' m),   covariance s2 A^-1

(Bishop 2006, section 3.3), kept up to date by recursive least squares. The penalty of the intercept is far below those
of the slopes: the belief starts as one constant per model and earns its dependence on the context. The noise variance
is learnt from the errors of the predictions made before each update, e^2 / (1 + x' A^-1 x), which are unbiased for it.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array32, Array64, frozen
from banditd.domain.comparison import Comparison
from banditd.domain.decision import Decision
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, Metric
from banditd.errors import DataLossError, Reason
from banditd.features.spec import INTERCEPT
from banditd.kernels.decision import predict_models, predict_models_rows
from banditd.kernels.linear import (
    update_ridge,
    update_ridge_forgetting,
)
from banditd.policies.base import ModelSummary, Prediction, Residuals
from banditd.policies.beliefs.judges import Judges, is_of_judges
from banditd.policies.beliefs.measures import (
    NOISE_GUESS,
    NOISE_GUESS_COUNT,
    cost_offset,
    expected,
    measured,
    prior_means,
    shift_of_costs,
)
from banditd.policies.registry import PolicyParameters

METRICS: Final = (Metric.QUALITY, Metric.COST, Metric.LATENCY)
_QUALITY, _COST, _LATENCY = range(3)

# Values that the evidence of a metric is worth at most after an alarm. What changes is most often the level, which
# `Regression.open_up` frees by itself; how the metric goes with the context is seldom all wrong, and dear to relearn.
# Of 8, 30, 50 and 100, the first relearns the shifted stream the soonest (regret 384; 433 with 100), but takes longest
# to leave a model whose level fell, for optimism returns to all contexts (share at 600 prompts 12 %; 6 % with 100).
_KEPT_BY_ALARM: Final = 100.0


class Regression:
    """One metric of one model. Mutable; the writer's thread only.

    Attributes:
        a_inv: Shape (N, N), float64: inverse of A above.
        theta: Shape (N,), float64.
        numbers: Shape (5,), float64: prior mean, values learnt, sum of squared errors, their weight, position of the
            prior's top-up.
    """

    __slots__ = ("a_inv", "numbers", "theta")

    def __init__(self, penalties: Array64, prior_mean: float, noise_guess: float) -> None:
        self.a_inv: Array64 = np.diag(1.0 / penalties)
        self.theta: Array64 = np.zeros_like(penalties)
        self.theta[INTERCEPT] = prior_mean
        self.numbers: Array64 = np.array(
            [prior_mean, 0.0, NOISE_GUESS_COUNT * noise_guess * noise_guess, NOISE_GUESS_COUNT, 0.0]
        )

    @property
    def prior_mean(self) -> float:
        """The guess on the intercept."""
        return float(self.numbers[0])

    @property
    def count(self) -> int:
        """Values learnt."""
        return int(self.numbers[1])

    @property
    def noise_variance(self) -> float:
        """Estimated variance of a value around its expectation."""
        return float(self.numbers[2] / self.numbers[3])

    def learn(self, row: Array32, value: float, penalties: Array64, retention: float) -> float:
        """Learn one value; returns the prediction's error in standard deviations, NaN where nothing was learnt."""
        numbers = self.numbers
        if retention == 1.0:
            predicted, width_sq = update_ridge(self.a_inv, self.theta, row, value, 1.0)
        else:
            predicted, width_sq = update_ridge_forgetting(
                self.a_inv, self.theta, row, value, 1.0, penalties, self._prior_theta(), retention, int(numbers[4])
            )
        error = value - predicted
        if not math.isfinite(error):
            return math.nan  # the kernels change nothing where an input is not finite, and neither do we
        residual = error / math.sqrt(self.noise_variance * (1.0 + width_sq))
        numbers[1] += 1.0
        numbers[4] = (numbers[4] + 1.0) % len(self.theta)
        numbers[2] = numbers[2] * retention + error * error / (1.0 + width_sq)
        numbers[3] = numbers[3] * retention + 1.0
        return residual

    def fade(self, share: float, penalties: Array64) -> None:
        """Keep a share of the evidence and all of the prior: A <- share A + (1 - share) diag(penalty), b likewise.

        The prior's part is put back one coordinate at a time, as values seen there: N rank-one changes, exactly.
        """
        self.a_inv *= 1.0 / share
        unit = np.zeros(len(penalties), np.float32)
        prior = self._prior_theta()
        for i in range(len(penalties)):
            unit[i] = 1.0
            update_ridge(self.a_inv, self.theta, unit, float(prior[i]), (1.0 - share) * float(penalties[i]))
            unit[i] = 0.0
        # The noise is as well known as the guess of it was, at least.
        kept = max(share, min(1.0, NOISE_GUESS_COUNT / float(self.numbers[3])))
        self.numbers[2] *= kept
        self.numbers[3] *= kept

    def open_up(self, penalties: Array64) -> None:
        """Make room for what changed: the level is as uncertain as at first, the rest worth a hundred values at most.

        The estimate stays; only its covariance grows, as by a jump of a state-space model's level (West & Harrison,
        Bayesian Forecasting and Dynamic Models, 1997, section 11.2, "intervention").
        """
        share = _KEPT_BY_ALARM / max(float(self.numbers[3]), _KEPT_BY_ALARM)
        if share < 1.0:
            self.fade(share, penalties)
        self.a_inv[INTERCEPT, INTERCEPT] += 1.0 / float(penalties[INTERCEPT])

    def start_like(self, sibling: "Regression") -> None:
        """Guess what *sibling* has learnt, as uncertainly as any guess."""
        self.theta[:] = sibling.theta
        self.numbers[0] = sibling.theta[INTERCEPT]
        self.numbers[2] = NOISE_GUESS_COUNT * sibling.noise_variance
        self.numbers[3] = NOISE_GUESS_COUNT

    def observe(self, row: Array32, value: float, variance: float) -> None:
        """Learn a value of known variance; it says nothing of the noise, and lets no time pass."""
        update_ridge(self.a_inv, self.theta, row, value, self.noise_variance / variance)

    def expect(self, row: Array32) -> tuple[float, float]:
        """Return what is expected and the variance of that expectation."""
        # An observation of no weight teaches nothing.
        value, leverage = update_ridge(self.a_inv, self.theta, row, 0.0, 0.0)
        return value, self.noise_variance * leverage

    def _prior_theta(self) -> Array64:
        prior = np.zeros_like(self.theta)
        prior[INTERCEPT] = self.numbers[0]
        return prior

    def shift_values(self, by: float) -> None:
        """Add *by* to every value learnt and to the prior mean; exact, since the intercept takes it all."""
        self.theta[INTERCEPT] += by
        self.numbers[0] += by

    def move_prior(self, mean: float, intercept_penalty: float) -> None:
        """Put *mean* in the place of the prior mean: theta changes by A^-1 diag(penalty) (m' - m)."""
        self.theta += self.a_inv[:, INTERCEPT] * (intercept_penalty * (mean - self.prior_mean))
        self.numbers[0] = mean


@dataclass(frozen=True, slots=True)
class Difference:
    """What a comparison says of the difference of two qualities.

    Attributes:
        value: The vote, with bias and reliability taken out.
        variance: Of that, > 0.
        qualities: As they were expected: quality and variance of a, quality and variance of b.
    """

    value: float
    variance: float
    qualities: tuple[float, float, float, float]


# A vote is 1, 0 or -1, so that it varies by 1 - difference^2; what is nearly certain still varies a little.
_VOTE_VARIANCE_MIN: Final = 0.1
# A judge who says as often the opposite as what he sees says nothing; one who does so more often than that would be
# believed in reverse, for which his name had to be known very well.
_TRUTH_MIN: Final = 0.05


def difference(a: Regression, b: Regression, row: Array32, comparison: Comparison, judges: Judges) -> Difference | None:
    """Return what a comparison says, and let *judges* learn from it; None where it says nothing."""
    quality_a, variance_a = a.expect(row)
    quality_b, variance_b = b.expect(row)
    shares, order = comparison.shares, comparison.order
    shared = judges.shared
    expected = min(max(quality_a - quality_b + shared[0] * order, -0.98), 0.98)
    spread = variance_a + variance_b
    if not math.isfinite(expected) or not math.isfinite(spread):
        return None
    truth = 2.0 * judges.reliability(comparison.judge) - 1.0
    judges.learn(comparison.judge, shares, 0.5 + 0.5 * expected, 0.5 - 0.5 * expected)
    if truth < _TRUTH_MIN:
        return None
    vote = (shares[0] - shares[1]) / truth
    noise = max(1.0 / (truth * truth) - expected * expected, _VOTE_VARIANCE_MIN)
    if order != 0.0:
        rate = shared[1] / (noise + spread + shared[1])
        shared[0] += rate * order * (vote - expected)
        shared[1] -= rate * shared[1]
    value = vote - float(shared[0]) * order
    return Difference(value, noise, (quality_a, variance_a, quality_b, variance_b))


_Arm = tuple[Regression, Regression, Regression]


@dataclass(frozen=True, slots=True)
class LinearSnapshot:
    """A frozen linear belief over K models.

    Attributes:
        theta: Shape (N, 3, K), float32: quality, log cost ratio, log latency; models innermost, as kernels read.
        a_inv: Shape (N, N, K), float32, of the quality.
        noise: Shape (K,), float64: standard deviation of the quality's noise.
        cost_offset: Shape (K,), float64: log of the blended price, plus half the log's noise variance. -inf for a free
            model; NaN where neither price nor cost is known.
        latency_offset: Shape (K,), float64: half the log's noise variance.
        learnt_count: Qualities learnt so far, over all models.
    """

    theta: Array32
    a_inv: Array32
    noise: Array64
    cost_offset: Array64
    latency_offset: Array64
    learnt_count: int

    @property
    def latency_deviation(self) -> Array64:
        """Standard deviation of a log latency's noise: shape (K,)."""
        return np.sqrt(2.0 * self.latency_offset)

    def predict(self, row: Array32, category: str = "") -> Prediction:  # noqa: ARG002 - as others have it
        """Return what is expected for one encoded context, shape (N,)."""
        values = np.empty((4, len(self.noise)))
        predict_models(self.theta, self.a_inv, self.noise, self.cost_offset, self.latency_offset, row, values)
        return Prediction(values)

    def predict_rows(
        self,
        rows: Array32,
        categories: Sequence[str] | None = None,  # noqa: ARG002 - as others have it
    ) -> Prediction:
        """Return the same for rows (B, N)."""
        values = np.empty((len(rows), 4, len(self.noise)))
        predict_models_rows(self.theta, self.a_inv, self.noise, self.cost_offset, self.latency_offset, rows, values)
        return Prediction(values)


class LinearBelief:
    """A linear belief that learns; the writer's thread only.

    Args:
        parameters: Of the policy.
        width: Values in a row, N.
        quality_guess: Of a model that has none of its own.
    """

    def __init__(self, parameters: PolicyParameters, width: int, quality_guess: float) -> None:
        self._retention = parameters.retention
        self._quality_guess = quality_guess
        self._penalties = np.full(width, parameters.slope_penalty)
        self._penalties[INTERCEPT] = parameters.intercept_penalty
        self._arms: dict[int, _Arm] = {}
        self._judges = Judges()
        self._changed: set[int] = set()
        self._last: tuple[tuple[ModelSpec, ...], LinearSnapshot] | None = None

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
        residuals = [math.nan, math.nan, math.nan]
        for metric, (regression, value) in enumerate(zip(self._arm(model), measured(model, lesson), strict=True)):
            if not math.isnan(value):
                residuals[metric] = regression.learn(row, value, self._penalties, self._retention)
        self._changed.add(model.slot)
        return residuals[0], residuals[1], residuals[2]

    def widen(self, model: ModelSpec, metric: int) -> None:
        """Take what was learnt of one metric for worth little: it has changed."""
        if model.slot in self._arms:
            regression = self._arms[model.slot][metric]
            regression.open_up(self._penalties)
            self._changed.add(model.slot)

    def fade(self, model: ModelSpec, share: float) -> None:
        """Keep a share of the evidence of a model."""
        for regression in self._arms.get(model.slot, ()):
            regression.fade(share, self._penalties)
        self._changed.add(model.slot)

    def start_like(self, model: ModelSpec, sibling: ModelSpec) -> None:
        """Guess of a model, of which nothing is seen, what is expected of *sibling*."""
        if sibling.slot in self._arms and model.slot not in self._arms:
            for regression, like in zip(self._arm(model), self._arms[sibling.slot], strict=True):
                if like.count:
                    regression.start_like(like)
            self._changed.add(model.slot)

    def freeze_faded(self, models: tuple[ModelSpec, ...], shares: Mapping[int, float]) -> LinearSnapshot:
        """Return `freeze` with the deviations of quality that `fade` to these shares, by slot, would about give.

        Evidence of which a share is left has deviations larger by one over its root, up to about those of the prior,
        which are the largest there are: no less is left than one part of as many as there are values and one more.
        """
        snapshot = self.freeze(models)
        evidence = [max(self._peek(m)[_QUALITY].numbers[3] - NOISE_GUESS_COUNT, 0.0) for m in models]
        kept = [max(shares.get(m.slot, 1.0), 1.0 / (1.0 + n)) for m, n in zip(models, evidence, strict=True)]
        return replace(snapshot, noise=frozen(snapshot.noise / np.sqrt(np.array(kept))))

    def compare(self, model_a: ModelSpec, model_b: ModelSpec, row: Array32, comparison: Comparison) -> None:
        """Learn who did better, as an observation of the difference of the two qualities.

        If each answer is good with the probability that is its quality, and a judge prefers a good one and has none to
        prefer among equals, then 1 for a, -1 for b and 0 for a tie has the expectation quality_a - quality_b (the
        linear link of Ailon, Karnin and Joachims 2014, arXiv:1405.3396), so that a vote is an unbiased observation of
        it, of variance at most 1. Bias of the place and reliability are corrected as `judges` has them: a judge of
        reliability r says (2 r - 1) times that.
        """
        a, b = self._arm(model_a)[_QUALITY], self._arm(model_b)[_QUALITY]
        seen = difference(a, b, row, comparison, self._judges)
        if seen is None:
            return
        # Each learns what the vote says of it given the other as expected, whose uncertainty is part of the noise.
        quality_a, variance_a, quality_b, variance_b = seen.qualities
        a.observe(row, quality_b + seen.value, seen.variance + variance_b)
        b.observe(row, quality_a - seen.value, seen.variance + variance_a)
        self._changed |= {model_a.slot, model_b.slot}

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went."""
        if new is None:
            if old is not None:
                self._arms.pop(old.slot, None)
            return
        arm = self._arms.get(new.slot)
        if arm is None or old is None:
            return  # it starts from its prior when something of it is learnt
        self._changed.add(new.slot)
        quality, cost, latency = arm
        cost.shift_values(shift_of_costs(old, new))
        penalty = float(self._penalties[INTERCEPT])
        before, after = self._prior_means(old), self._prior_means(new)
        # Only where the guess is another: what a sibling has lent stays.
        if before[_QUALITY] != after[_QUALITY]:
            quality.move_prior(after[_QUALITY], penalty)
        if before[_LATENCY] != after[_LATENCY]:
            latency.move_prior(after[_LATENCY], penalty)

    def freeze(self, models: tuple[ModelSpec, ...]) -> LinearSnapshot:
        """Return a frozen copy that speaks of *models*, in their order.

        Only what changed since the last call is copied anew where the models are the same.
        """
        arms = [self._peek(model) for model in models]
        if self._last is not None and self._last[0] == models:
            theta, a_inv = self._last[1].theta.copy(), self._last[1].a_inv.copy()
            stale = [k for k, model in enumerate(models) if model.slot in self._changed]
        else:
            width = len(self._penalties)
            theta, a_inv = (
                np.empty((width, 3, len(models)), np.float32),
                np.empty((width, width, len(models)), np.float32),
            )
            stale = list(range(len(models)))
        for k in stale:
            a_inv[:, :, k] = arms[k][_QUALITY].a_inv
            for metric in range(3):
                theta[:, metric, k] = arms[k][metric].theta
        snapshot = LinearSnapshot(
            theta=frozen(theta),
            a_inv=frozen(a_inv),
            noise=frozen(np.array([math.sqrt(arm[_QUALITY].noise_variance) for arm in arms])),
            cost_offset=frozen(np.array([_cost_offset(m, arm[_COST]) for m, arm in zip(models, arms, strict=True)])),
            latency_offset=frozen(np.array([0.5 * arm[_LATENCY].noise_variance for arm in arms])),
            learnt_count=sum(arm[_QUALITY].count for arm in self._arms.values()),
        )
        self._last = (models, snapshot)
        self._changed.clear()
        return snapshot

    def summary(self, model: ModelSpec) -> ModelSummary:
        """Return what is held of one model; the average prompt is the row that is 0 but for its intercept."""
        quality, cost, latency = self._peek(model)
        cost_usd = expected(float(cost.theta[INTERCEPT]), _cost_offset(model, cost))
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
            for metric, regression in zip(METRICS, self._arms[slot], strict=True):
                for part in Regression.__slots__:
                    arrays[f"{slot}/{metric.name}/{part}"] = getattr(regression, part)
        return arrays | self._judges.to_arrays()

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        width = len(self._penalties)
        shapes = {"a_inv": (width, width), "theta": (width,), "numbers": (5,)}
        arms: dict[int, _Arm] = {}
        for slot in sorted({int(name.split("/")[0]) for name in arrays if not is_of_judges(name)}):
            regressions = []
            for metric, noise in zip(METRICS, NOISE_GUESS, strict=True):
                regression = Regression(self._penalties, 0.0, noise)
                for part, shape in shapes.items():
                    array = arrays.get(f"{slot}/{metric.name}/{part}")
                    if array is None or array.shape != shape:
                        got = None if array is None else array.shape
                        raise DataLossError(
                            Reason.CORRUPT_RECORD, f"snapshot: expected {part} of shape {shape}, got {got}"
                        )
                    setattr(regression, part, array.copy())
                regressions.append(regression)
            arms[slot] = (regressions[0], regressions[1], regressions[2])
        self._judges.load_arrays(arrays)
        self._arms, self._last = arms, None
        self._changed.clear()

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.to_arrays().items():
            hasher.update(name.encode())
            hasher.update(array.tobytes())
        return hasher.digest()

    def _arm(self, model: ModelSpec) -> _Arm:
        """Return the model's regressions, to be learnt by."""
        arm = self._arms.get(model.slot)
        if arm is None:
            arm = self._arms[model.slot] = self._prior(model)
        return arm

    def _peek(self, model: ModelSpec) -> _Arm:
        """Return the model's regressions, to be read: a model that was only looked at is no part of the state."""
        return self._arms.get(model.slot) or self._prior(model)

    def _prior(self, model: ModelSpec) -> _Arm:
        means = self._prior_means(model)
        return (
            Regression(self._penalties, means[_QUALITY], NOISE_GUESS[_QUALITY]),
            Regression(self._penalties, means[_COST], NOISE_GUESS[_COST]),
            Regression(self._penalties, means[_LATENCY], NOISE_GUESS[_LATENCY]),
        )

    def _prior_means(self, model: ModelSpec) -> tuple[float, float, float]:
        return prior_means(model, self._quality_guess)


def _cost_offset(model: ModelSpec, cost: Regression) -> float:
    return cost_offset(model, cost.noise_variance, cost.count)
