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
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from banditd.domain.arrays import Array32, Array64, frozen
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, Metric
from banditd.errors import DataLossError, Reason
from banditd.features.spec import INTERCEPT
from banditd.kernels.decision import predict_models, predict_models_rows
from banditd.kernels.linear import (
    update_ridge,
    update_ridge_forgetting,
)
from banditd.policies.base import ModelSummary, Prediction
from banditd.policies.beliefs.shrinkage import (
    FIRST_COUNT,
    GROWTH,
    Comparison,
    Sample,
    Sums,
    common_slopes,
    compare,
    context_key,
    margin_of,
    posterior,
)
from banditd.policies.registry import PolicyParameters

METRICS: Final = (Metric.QUALITY, Metric.COST, Metric.LATENCY)
_QUALITY, _COST, _LATENCY = range(3)

# What a model is taken to write and read before anything of it is seen, in tokens.
_OUTPUT_TOKENS_GUESS: Final = 300
_INPUT_TOKENS_GUESS: Final = 300
_LATENCY_MS_GUESS: Final = 2000.0
# Standard deviations of the noise before anything is seen: of a quality in [0, 1], and of logs.
_NOISE_GUESS: Final = (0.25, 0.5, 0.5)
# How many errors that guess counts for.
_NOISE_GUESS_COUNT: Final = 10.0
# Logs of zeros would dominate everything; less than these is a zero that was rounded.
_COST_USD_MIN: Final = 1e-9
_LATENCY_MS_MIN: Final = 1e-3
# A price below this is none: over a denormal price a cost would be infinite, and nothing could be learnt after it.
_PRICE_MTOK_USD_MIN: Final = 1e-12
# exp() of what a log regression predicts stays finite and above zero.
_LOG_MAX: Final = 60.0


class Regression:
    """One metric of one model. Mutable; the writer's thread only.

    Attributes:
        a_inv: Shape (N, N), float64: inverse of A above.
        theta: Shape (N,), float64.
        numbers: Shape (6,), float64: prior mean, values learnt, sum of squared errors, their weight, position of the
            prior's top-up, log of the price (of costs).
    """

    __slots__ = ("a_inv", "numbers", "theta")

    def __init__(
        self, penalties: Array64, prior_mean: float, noise_guess: float, slopes: Array64 | None = None
    ) -> None:
        self.a_inv: Array64 = np.diag(1.0 / penalties)
        self.theta: Array64 = np.zeros_like(penalties) if slopes is None else slopes.copy()
        self.theta[INTERCEPT] = prior_mean
        self.numbers: Array64 = np.array(
            [prior_mean, 0.0, _NOISE_GUESS_COUNT * noise_guess * noise_guess, _NOISE_GUESS_COUNT, 0.0, 0.0]
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
    def log_price(self) -> float:
        """Log of the blended price when something was last learnt, for a regression of costs."""
        return float(self.numbers[5])

    @log_price.setter
    def log_price(self, value: float) -> None:
        self.numbers[5] = value

    @property
    def noise_variance(self) -> float:
        """Estimated variance of a value around its expectation."""
        return float(self.numbers[2] / self.numbers[3])

    def learn(
        self, row: Array32, value: float, penalties: Array64, retention: float, slopes: Array64 | None = None
    ) -> bool:
        """Learn one value; return whether it was finite, for nothing else is learnt.

        Args:
            row: Shape (N,).
            value: What was seen.
            penalties: Shape (N,), of the prior.
            retention: Factor on what is known.
            slopes: Shape (N,), centre of the prior but for its intercept; None for zeros.
        """
        numbers = self.numbers
        if retention == 1.0:
            predicted, width_sq = update_ridge(self.a_inv, self.theta, row, value, 1.0)
        else:
            predicted, width_sq = update_ridge_forgetting(
                self.a_inv, self.theta, row, value, 1.0, penalties, self.prior(slopes), retention, int(numbers[4])
            )
        error = value - predicted
        if not math.isfinite(error):
            return False  # the kernels change nothing where an input is not finite, and neither do we
        numbers[1] += 1.0
        numbers[4] = (numbers[4] + 1.0) % len(self.theta)
        numbers[2] = numbers[2] * retention + error * error / (1.0 + width_sq)
        numbers[3] = numbers[3] * retention + 1.0
        return True

    def prior(self, slopes: Array64 | None) -> Array64:
        """Return the centre of the prior, whose slopes are given."""
        prior = np.zeros_like(self.theta) if slopes is None else slopes.copy()
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

    def predict(self, row: Array32) -> Prediction:
        """Return what is expected for one encoded context, shape (N,)."""
        values = np.empty((4, len(self.noise)))
        predict_models(self.theta, self.a_inv, self.noise, self.cost_offset, self.latency_offset, row, values)
        return Prediction(values)

    def predict_rows(self, rows: Array32) -> Prediction:
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
        self._width = width
        self._slope_penalty = parameters.slope_penalty
        self._intercept_penalty = parameters.intercept_penalty
        # Those of cost and latency; quality has its own, which the data choose.
        self._penalties = self._penalties_of(parameters.slope_penalty)
        self._quality_penalties = self._penalties.copy()
        self._chooses = parameters.shrinkage > 0.0 and width > 1
        self._slopes: Array64 = np.zeros(width)
        self._sums: dict[int, Sums] = {}
        self._sample = Sample(width)
        # Qualities learnt, and where the penalty is chosen next.
        self._learnt, self._next_choice = 0, FIRST_COUNT
        self._arms: dict[int, _Arm] = {}
        self._changed: set[int] = set()
        self._last: tuple[tuple[ModelSpec, ...], LinearSnapshot] | None = None

    def learn(self, model: ModelSpec, row: Array32, lesson: Lesson) -> None:
        """Learn what was seen of one model.

        Args:
            model: The model.
            row: Shape (N,), float32, finite.
            lesson: Finite values.
        """
        quality, cost, latency = self._arm(model)
        cost.log_price = _log_price(model)
        if lesson.cost_usd is not None and not _is_free(model):
            told = lesson.price_mtok_usd or 0.0
            unit = told if model.price is not None and told >= _PRICE_MTOK_USD_MIN else _unit_price(model)
            cost.learn(row, math.log(max(lesson.cost_usd, _COST_USD_MIN) / unit), self._penalties, self._retention)
        if lesson.latency_ms is not None:
            latency.learn(row, math.log(max(lesson.latency_ms, _LATENCY_MS_MIN)), self._penalties, self._retention)
        self._changed.add(model.slot)
        if lesson.quality is not None:
            self._learn_quality(model.slot, quality, row, lesson.quality)

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went."""
        if new is None:
            if old is not None:
                self._arms.pop(old.slot, None)
                self._sums.pop(old.slot, None)
            return
        arm = self._arms.get(new.slot)
        if arm is None or old is None:
            return  # it starts from its prior when something of it is learnt
        self._changed.add(new.slot)
        quality, cost, latency = arm
        if (old.price is None) != (new.price is None):
            # Costs were learnt in dollars and are now ratios to the price, or the other way round.
            cost.shift_values(math.log(_unit_price(old)) - math.log(_unit_price(new)))
        cost.log_price = _log_price(new)
        penalty = self._intercept_penalty
        quality.move_prior(self._prior_means(new)[_QUALITY], penalty)
        latency.move_prior(self._prior_means(new)[_LATENCY], penalty)

    def freeze(self, models: tuple[ModelSpec, ...]) -> LinearSnapshot:
        """Return a frozen copy that speaks of *models*, in their order.

        Only what changed since the last call is copied anew where the models are the same.
        """
        arms = [self._peek(model) for model in models]
        if self._last is not None and self._last[0] == models:
            theta, a_inv = self._last[1].theta.copy(), self._last[1].a_inv.copy()
            stale = [k for k, model in enumerate(models) if model.slot in self._changed]
        else:
            width = self._width
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
        cost_usd = math.exp(min(float(cost.theta[INTERCEPT]) + _cost_offset(model, cost), _LOG_MAX))
        return ModelSummary(
            quality_count=quality.count,
            cost_count=cost.count,
            latency_count=latency.count,
            quality=float(quality.theta[INTERCEPT]),
            deviation=math.sqrt(quality.noise_variance * max(float(quality.a_inv[INTERCEPT, INTERCEPT]), 0.0)),
            cost_usd=None if math.isnan(cost_usd) else cost_usd,
            latency_ms=math.exp(min(float(latency.theta[INTERCEPT]) + 0.5 * latency.noise_variance, _LOG_MAX)),
        )

    def to_arrays(self) -> dict[str, Array64]:
        """Return the whole state as named arrays."""
        arrays: dict[str, Array64] = {}
        for slot in sorted(self._arms):
            for metric, regression in zip(METRICS, self._arms[slot], strict=True):
                for part in Regression.__slots__:
                    arrays[f"{slot}/{metric.name}/{part}"] = getattr(regression, part)
            if slot in self._sums:
                arrays[f"{slot}/sums/gram"] = self._sums[slot].gram
                arrays[f"{slot}/sums/moment"] = self._sums[slot].moment
        if self._chooses:
            arrays["shrinkage/slopes"] = self._slopes
            arrays["shrinkage/numbers"] = np.array([self._learnt, self._next_choice], np.float64)
            arrays["shrinkage/penalties"] = self._quality_penalties
            arrays["shrinkage/keys"] = self._sample.keys
            arrays["shrinkage/rows"] = self._sample.rows.astype(np.float64)
        return arrays

    def load_arrays(self, arrays: Mapping[str, Array64]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        width = self._width
        shapes = {"a_inv": (width, width), "theta": (width,), "numbers": (6,)}
        arms: dict[int, _Arm] = {}
        sums: dict[int, Sums] = {}
        slots = {int(name.split("/")[0]) for name in arrays if not name.startswith("shrinkage/")}
        for slot in sorted(slots):
            regressions = []
            for metric, noise in zip(METRICS, _NOISE_GUESS, strict=True):
                regression = Regression(self._penalties, 0.0, noise)
                for part, shape in shapes.items():
                    setattr(regression, part, _loaded(arrays, f"{slot}/{metric.name}/{part}", shape))
                regressions.append(regression)
            arms[slot] = (regressions[0], regressions[1], regressions[2])
            if f"{slot}/sums/gram" in arrays:
                gram = _loaded(arrays, f"{slot}/sums/gram", (2, width, width))
                sums[slot] = Sums(gram, _loaded(arrays, f"{slot}/sums/moment", (2, width)))
        if self._chooses:
            slopes = _loaded(arrays, "shrinkage/slopes", (width,))
            penalties = _loaded(arrays, "shrinkage/penalties", (width,))
            learnt, next_choice = _loaded(arrays, "shrinkage/numbers", (2,))
            keys = arrays.get("shrinkage/keys", np.zeros(0))
            rows = _loaded(arrays, "shrinkage/rows", (len(keys), width))
            self._slopes = slopes
            self._quality_penalties = penalties
            self._learnt, self._next_choice = int(learnt), int(next_choice)
            self._sample.keys, self._sample.rows = keys.copy(), rows.astype(np.float32)
        self._arms, self._sums, self._last = arms, sums, None
        self._changed.clear()

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.to_arrays().items():
            hasher.update(name.encode())
            hasher.update(array.tobytes())
        return hasher.digest()

    @property
    def quality_penalties(self) -> Array64:
        """Prior precisions of a row's values for quality, in units of the noise precision: configured, then chosen."""
        return self._quality_penalties.copy()

    def comparison(self) -> Comparison | None:
        """Return what other penalties are worth by what was seen so far; None where there is nothing to compare."""
        slots = sorted(self._sums)
        if len(slots) < 2 or not len(self._sample.rows):
            return None
        arms = [self._arms[slot] for slot in slots]
        return compare(
            [self._sums[slot] for slot in slots],
            np.stack([arm[_QUALITY].prior(self._slopes) for arm in arms]),
            np.array([arm[_QUALITY].noise_variance for arm in arms]),
            self._sample.rows,
            self._expected_costs(arms),
            self._penalties,
        )

    def _learn_quality(self, slot: int, quality: Regression, row: Array32, value: float) -> None:
        slopes = self._slopes if self._chooses else None
        if not quality.learn(row, value, self._quality_penalties, self._retention, slopes) or not self._chooses:
            return
        key = context_key(row)
        sums = self._sums.get(slot)
        if sums is None:
            sums = self._sums[slot] = Sums.empty(self._width)
        sums.add(key & 1, row, value, self._retention)
        self._sample.offer(key, row)
        self._learnt += 1
        if self._learnt >= self._next_choice:
            self._next_choice *= GROWTH
            self._choose_penalty()

    def _choose_penalty(self) -> None:
        """Choose penalty and common slopes from all that was seen, and put every model on the new prior."""
        slots = sorted(self._sums)
        margin = margin_of([self._sums[slot] for slot in slots], self._learnt, self._sample)
        if margin is None:
            return
        means = np.array([self._arms[slot][_QUALITY].prior_mean for slot in slots])
        grams = np.stack([self._sums[slot].gram.sum(axis=0) for slot in slots])
        moments = np.stack([self._sums[slot].moment.sum(axis=0) for slot in slots])
        self._slopes = common_slopes(grams, moments, means, self._intercept_penalty)
        comparison = self.comparison()
        if comparison is not None:
            self._quality_penalties = self._penalties_of(comparison.best(margin))
        for slot, gram, moment in zip(slots, grams, moments, strict=True):
            quality = self._arms[slot][_QUALITY]
            prior = quality.prior(self._slopes)
            quality.a_inv, quality.theta = posterior(gram, moment, self._quality_penalties, prior)
        self._changed.update(self._arms)
        self._last = None

    def _expected_costs(self, arms: list[_Arm]) -> Array64:
        """Return what each model is expected to cost in each context of the sample: shape (B, K)."""
        count = len(arms)
        theta = np.zeros((self._width, 3, count), np.float32)
        for k, arm in enumerate(arms):
            theta[:, 1, k] = arm[_COST].theta
        offsets = np.array([arm[_COST].log_price + 0.5 * arm[_COST].noise_variance for arm in arms])
        unknown = np.array([arm[_COST].log_price == 0.0 and arm[_COST].count == 0 for arm in arms])
        values = np.empty((len(self._sample.rows), 4, count))
        predict_models_rows(
            theta,
            np.zeros((self._width, self._width, count), np.float32),
            np.zeros(count),
            np.where(unknown, np.nan, offsets),
            np.zeros(count),
            self._sample.rows,
            values,
        )
        return np.ascontiguousarray(values[:, 2, :])

    def _penalties_of(self, slope_penalty: float) -> Array64:
        penalties = np.full(self._width, slope_penalty)
        penalties[INTERCEPT] = self._intercept_penalty
        return penalties

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
            Regression(self._quality_penalties, means[_QUALITY], _NOISE_GUESS[_QUALITY], self._slopes),
            Regression(self._penalties, means[_COST], _NOISE_GUESS[_COST]),
            Regression(self._penalties, means[_LATENCY], _NOISE_GUESS[_LATENCY]),
        )

    def _prior_means(self, model: ModelSpec) -> tuple[float, float, float]:
        quality = self._quality_guess if model.quality_guess is None else model.quality_guess
        latency = _LATENCY_MS_GUESS if model.latency_ms_guess is None else model.latency_ms_guess
        cost = 0.0 if model.price is None else model.price.cost_usd(_INPUT_TOKENS_GUESS, _OUTPUT_TOKENS_GUESS)
        # The mean of a log is below the log of the mean by half the variance.
        half = 0.5 * _NOISE_GUESS[_COST] ** 2
        return (
            quality,
            math.log(cost / _unit_price(model)) - half if cost > 0.0 else 0.0,
            math.log(latency) - 0.5 * _NOISE_GUESS[_LATENCY] ** 2,
        )


def _is_free(model: ModelSpec) -> bool:
    """Return whether the model costs nothing whatever was billed: there is no ratio to learn."""
    return model.price is not None and model.price.blended_mtok_usd < _PRICE_MTOK_USD_MIN


def _unit_price(model: ModelSpec) -> float:
    """Return what costs are learnt as ratios to: the blended price, or a dollar where there is none."""
    blended = 0.0 if model.price is None else model.price.blended_mtok_usd
    return blended if blended >= _PRICE_MTOK_USD_MIN else 1.0


def _log_price(model: ModelSpec) -> float:
    """Return the log of the blended price: -inf for a free model, 0 where there is none and dollars are learnt."""
    return -math.inf if _is_free(model) else math.log(_unit_price(model))


def _loaded(arrays: Mapping[str, Array64], name: str, shape: tuple[int, ...]) -> Array64:
    """Return a copy of an array of a stored state.

    Raises:
        DataLossError: It is not there, or of another shape.
    """
    array = arrays.get(name)
    if array is None or array.shape != shape:
        got = None if array is None else array.shape
        raise DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected {name} of shape {shape}, got {got}")
    return array.copy()


def _cost_offset(model: ModelSpec, cost: Regression) -> float:
    """Return what turns a predicted log ratio into the log of expected dollars (mean of a log-normal)."""
    if model.price is None:
        # Without a price the cost is known as far as it was reported.
        return 0.5 * cost.noise_variance if cost.count else math.nan
    blended = model.price.blended_mtok_usd
    return math.log(blended) + 0.5 * cost.noise_variance if blended >= _PRICE_MTOK_USD_MIN else -math.inf
