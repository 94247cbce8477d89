"""What is learnt of one model: a regression per metric."""

from collections.abc import Sequence

import numpy as np

from banditd.domain.arrays import Array32, Array64
from banditd.features.spec import INTERCEPT
from banditd.kernels.linear import learn_metrics, learn_metrics_rows
from banditd.policies.base import Residuals
from banditd.policies.beliefs.measures import NOISE_GUESS, NOISE_GUESS_COUNT, QUALITY
from banditd.policies.beliefs.regression import Regression


class Arm:
    """The regressions of quality, log cost and log latency, in blocks that one kernel learns on. Mutable; writer only.

    Args:
        penalties: Shape (3, N): prior precisions, in units of the noise precision.
        means: Prior means of the intercepts.
        slopes: Shape (N,): prior means of the slopes of quality.

    Attributes:
        a_inv: Shape (3, N, N), float64; of these blocks the regressions are views.
        theta: Shape (3, N), float64.
        prior: Shape (3, N), float64.
        numbers: Shape (3, 5), float64.
        regressions: By metric.
    """

    __slots__ = ("a_inv", "numbers", "prior", "regressions", "theta")

    def __init__(self, penalties: Array64, means: Sequence[float], slopes: Array64) -> None:
        self.a_inv: Array64 = np.stack([np.diag(1.0 / row) for row in penalties])
        self.prior: Array64 = np.zeros_like(penalties)
        self.prior[QUALITY] = slopes
        self.prior[:, INTERCEPT] = means
        self.theta: Array64 = self.prior.copy()
        self.numbers: Array64 = np.array(
            [[0.0, NOISE_GUESS_COUNT * noise * noise, NOISE_GUESS_COUNT, 0.0, 0.0] for noise in NOISE_GUESS]
        )
        self.regressions = tuple(
            Regression(*parts) for parts in zip(self.a_inv, self.theta, self.prior, self.numbers, strict=True)
        )

    @property
    def quality(self) -> Regression:
        """Of quality."""
        return self.regressions[0]

    @property
    def cost(self) -> Regression:
        """Of the log of cost over price."""
        return self.regressions[1]

    @property
    def latency(self) -> Regression:
        """Of the log of latency."""
        return self.regressions[2]

    def learn(
        self, row: Array32, values: tuple[float, float, float], penalties: Array64, retention: float, weight: float
    ) -> Residuals:
        """Learn what was seen, NaN standing for nothing; each value counts for *weight* observations.

        Returns:
            The predictions' errors in standard deviations, NaN where nothing was learnt.
        """
        residuals: Residuals = learn_metrics(
            self.a_inv, self.theta, self.numbers, self.prior, penalties, retention, row, *values, weight
        )
        return residuals

    def learn_rows(
        self, rows: Array32, measured: Array64, penalties: Array64, retention: float, weights: Array64
    ) -> None:
        """Do `learn` for each of B rows (B, N), with what was seen (B, 3) and weights (B,)."""
        learn_metrics_rows(
            self.a_inv, self.theta, self.numbers, self.prior, penalties, retention, rows, measured, weights
        )
