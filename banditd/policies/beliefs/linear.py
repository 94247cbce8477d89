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
from dataclasses import dataclass
from typing import Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array32, Array64, frozen
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
from banditd.policies.base import ModelSummary, Prediction
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
        numbers: Shape (5,), float64: prior mean, values learnt, sum of squared errors, their weight, position of the
            prior's top-up.
    """

    __slots__ = ("a_inv", "numbers", "theta")

    def __init__(self, penalties: Array64, prior_mean: float, noise_guess: float) -> None:
        self.a_inv: Array64 = np.diag(1.0 / penalties)
        self.theta: Array64 = np.zeros_like(penalties)
        self.theta[INTERCEPT] = prior_mean
        self.numbers: Array64 = np.array(
            [prior_mean, 0.0, _NOISE_GUESS_COUNT * noise_guess * noise_guess, _NOISE_GUESS_COUNT, 0.0]
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

    def learn(self, row: Array32, value: float, penalties: Array64, retention: float) -> None:
        """Learn one value."""
        numbers = self.numbers
        if retention == 1.0:
            predicted, width_sq = update_ridge(self.a_inv, self.theta, row, value, 1.0)
        else:
            predicted, width_sq = update_ridge_forgetting(
                self.a_inv, self.theta, row, value, 1.0, penalties, self._prior_theta(), retention, int(numbers[4])
            )
        error = value - predicted
        if not math.isfinite(error):
            return  # the kernels change nothing where an input is not finite, and neither do we
        numbers[1] += 1.0
        numbers[4] = (numbers[4] + 1.0) % len(self.theta)
        numbers[2] = numbers[2] * retention + error * error / (1.0 + width_sq)
        numbers[3] = numbers[3] * retention + 1.0

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

    def predict(self, row: Array32, category: str = "") -> Prediction:  # noqa: ARG002 - that of all beliefs
        """Return what is expected for one encoded context, shape (N,)."""
        values = np.empty((4, len(self.noise)))
        predict_models(self.theta, self.a_inv, self.noise, self.cost_offset, self.latency_offset, row, values)
        return Prediction(values)

    def predict_rows(
        self,
        rows: Array32,
        categories: Sequence[str] | None = None,  # noqa: ARG002 - that of all beliefs
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
        self._changed: set[int] = set()
        self._last: tuple[tuple[ModelSpec, ...], LinearSnapshot] | None = None

    def learn(
        self,
        model: ModelSpec,
        row: Array32,
        lesson: Lesson,
        decision: Decision | None = None,  # noqa: ARG002 - that of all beliefs
    ) -> None:
        """Learn what was seen of one model.

        Args:
            model: The model.
            row: Shape (N,), float32, finite.
            lesson: Finite values.
            decision: Not looked at.
        """
        quality, cost, latency = self._arm(model)
        if lesson.quality is not None:
            quality.learn(row, lesson.quality, self._penalties, self._retention)
        if lesson.cost_usd is not None and not _is_free(model):
            told = lesson.price_mtok_usd or 0.0
            unit = told if model.price is not None and told >= _PRICE_MTOK_USD_MIN else _unit_price(model)
            cost.learn(row, math.log(max(lesson.cost_usd, _COST_USD_MIN) / unit), self._penalties, self._retention)
        if lesson.latency_ms is not None:
            latency.learn(row, math.log(max(lesson.latency_ms, _LATENCY_MS_MIN)), self._penalties, self._retention)
        self._changed.add(model.slot)

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
        if (old.price is None) != (new.price is None):
            # Costs were learnt in dollars and are now ratios to the price, or the other way round.
            cost.shift_values(math.log(_unit_price(old)) - math.log(_unit_price(new)))
        penalty = float(self._penalties[INTERCEPT])
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

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays."""
        arrays: dict[str, AnyArray] = {}
        for slot in sorted(self._arms):
            for metric, regression in zip(METRICS, self._arms[slot], strict=True):
                for part in Regression.__slots__:
                    arrays[f"{slot}/{metric.name}/{part}"] = getattr(regression, part)
        return arrays

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit.
        """
        width = len(self._penalties)
        shapes = {"a_inv": (width, width), "theta": (width,), "numbers": (5,)}
        arms: dict[int, _Arm] = {}
        for slot in sorted({int(name.split("/")[0]) for name in arrays}):
            regressions = []
            for metric, noise in zip(METRICS, _NOISE_GUESS, strict=True):
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
            Regression(self._penalties, means[_QUALITY], _NOISE_GUESS[_QUALITY]),
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


def _cost_offset(model: ModelSpec, cost: Regression) -> float:
    """Return what turns a predicted log ratio into the log of expected dollars (mean of a log-normal)."""
    if model.price is None:
        # Without a price the cost is known as far as it was reported.
        return 0.5 * cost.noise_variance if cost.count else math.nan
    blended = model.price.blended_mtok_usd
    return math.log(blended) + 0.5 * cost.noise_variance if blended >= _PRICE_MTOK_USD_MIN else -math.inf
