"""Bayesian ridge regression of one metric of one model on the encoded context.

With noise variance s2, prior mean m and prior precision diag(penalties) / s2, the posterior after rows x_i with values
y_i is Gaussian with

    A = diag(penalties) + sum x_i x_i',   theta = m + A^-1 sum x_i (y_i - x_i' m),   covariance s2 A^-1

(Bishop 2006, section 3.3), kept up to date by recursive least squares (`kernels.linear`). The noise variance is learnt
from the errors of the predictions made before each update, e^2 / (1 + x' A^-1 x), which are unbiased for it.
"""

from typing import Final

import numpy as np

from banditd.domain.arrays import Array32, Array64
from banditd.features.spec import INTERCEPT
from banditd.kernels.linear import COUNT, ERRORS, WEIGHT, update_ridge
from banditd.policies.beliefs.measures import NOISE_GUESS_COUNT

# Values that the evidence of a metric is worth at most after an alarm. What changes is most often the level, which
# `Regression.open_up` frees by itself; how the metric goes with the context is seldom all wrong, and dear to relearn.
# Of 8, 30, 50 and 100, the first relearns the shifted stream the soonest (regret 384; 433 with 100), but takes longest
# to leave a model whose level fell, for optimism returns to all contexts (share at 600 prompts 12 %; 6 % with 100).
_KEPT_BY_ALARM: Final = 100.0
# Place of the log of the price in the numbers, which the kernels leave alone.
_LOG_PRICE: Final = 4


class Regression:
    """One metric of one model. Mutable; the writer's thread only.

    Attributes:
        a_inv: Shape (N, N), float64: inverse of A above.
        theta: Shape (N,), float64.
        prior: Shape (N,), float64: m above.
        numbers: Shape (5,), float64: values learnt, sum of squared errors, their weight, position of the prior's
            top-up, log of the price (of costs).
    """

    __slots__ = ("a_inv", "numbers", "prior", "theta")

    def __init__(self, a_inv: Array64, theta: Array64, prior: Array64, numbers: Array64) -> None:
        self.a_inv = a_inv
        self.theta = theta
        self.prior = prior
        self.numbers = numbers

    @property
    def count(self) -> int:
        """Values learnt."""
        return int(self.numbers[COUNT])

    @property
    def noise_variance(self) -> float:
        """Estimated variance of a value around its expectation."""
        return float(self.numbers[ERRORS] / self.numbers[WEIGHT])

    @property
    def noise_weight(self) -> float:
        """Errors that the noise variance is the mean of, the guess counting for `NOISE_GUESS_COUNT`."""
        return float(self.numbers[WEIGHT])

    @property
    def log_price(self) -> float:
        """Log of the blended price in force, for a regression of costs; -inf if that is free, NaN if there is none."""
        return float(self.numbers[_LOG_PRICE])

    @log_price.setter
    def log_price(self, value: float) -> None:
        self.numbers[_LOG_PRICE] = value

    def fade(self, share: float, penalties: Array64) -> None:
        """Keep a share of the evidence and all of the prior: A <- share A + (1 - share) diag(penalty), b likewise.

        The prior's part is put back one coordinate at a time, as values seen there: N rank-one changes, exactly.
        """
        self.a_inv *= 1.0 / share
        unit = np.zeros(len(penalties), np.float32)
        for i in range(len(penalties)):
            unit[i] = 1.0
            update_ridge(self.a_inv, self.theta, unit, float(self.prior[i]), (1.0 - share) * float(penalties[i]))
            unit[i] = 0.0
        # The noise is as well known as the guess of it was, at least.
        kept = max(share, min(1.0, NOISE_GUESS_COUNT / self.noise_weight))
        self.numbers[ERRORS] *= kept
        self.numbers[WEIGHT] *= kept

    def open_up(self, penalties: Array64) -> float:
        """Make room for what changed: the level is as uncertain as at first, the rest worth a hundred values at most.

        The estimate stays; only its covariance grows, as by a jump of a state-space model's level (West & Harrison,
        Bayesian Forecasting and Dynamic Models, 1997, section 11.2, "intervention").

        Returns:
            The share of the evidence that is kept.
        """
        share = _KEPT_BY_ALARM / max(self.noise_weight, _KEPT_BY_ALARM)
        if share < 1.0:
            self.fade(share, penalties)
        self.a_inv[INTERCEPT, INTERCEPT] += 1.0 / float(penalties[INTERCEPT])
        return share

    def start_like(self, sibling: "Regression") -> None:
        """Guess what *sibling* has learnt, as uncertainly as any guess."""
        self.theta[:] = self.prior[:] = sibling.theta
        self.numbers[ERRORS] = NOISE_GUESS_COUNT * sibling.noise_variance
        self.numbers[WEIGHT] = NOISE_GUESS_COUNT

    def suppose(self, value: float, strength: float, intercept_penalty: float) -> None:
        """Put the prior's level at *value*, and add *strength* observations of it to the prior's own precision.

        What a prior says of the level is what as many observations at the average prompt would have shown.
        """
        self.move_prior(value, intercept_penalty)
        unit = np.zeros(len(self.theta), np.float32)
        unit[INTERCEPT] = 1.0
        update_ridge(self.a_inv, self.theta, unit, value, strength)

    def observe(self, row: Array32, value: float, variance: float) -> None:
        """Learn a value of known variance; it says nothing of the noise, and lets no time pass."""
        update_ridge(self.a_inv, self.theta, row, value, self.noise_variance / variance)

    def expect(self, row: Array32) -> tuple[float, float]:
        """Return what is expected and the variance of that expectation."""
        # An observation of no weight teaches nothing.
        value, leverage = update_ridge(self.a_inv, self.theta, row, 0.0, 0.0)
        return value, self.noise_variance * leverage

    def shift_values(self, by: float) -> None:
        """Add *by* to every value learnt and to the prior mean; exact, since the intercept takes it all."""
        self.theta[INTERCEPT] += by
        self.prior[INTERCEPT] += by

    def move_prior(self, mean: float, intercept_penalty: float) -> None:
        """Put *mean* in the place of the prior mean: theta changes by A^-1 diag(penalty) (m' - m)."""
        self.theta += self.a_inv[:, INTERCEPT] * (intercept_penalty * (mean - float(self.prior[INTERCEPT])))
        self.prior[INTERCEPT] = mean
