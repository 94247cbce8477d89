"""What decisions read of a linear belief: its snapshot, and the mirror that snapshots are made of."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from banditd.domain.arrays import Array32, Array64, Slots, frozen
from banditd.domain.model import ModelSpec
from banditd.kernels.decision import predict_models, predict_models_rows
from banditd.kernels.linear import mirror_model
from banditd.policies.base import Prediction
from banditd.policies.beliefs.arm import Arm
from banditd.policies.beliefs.measures import LATENCY, NOISE_GUESS_COUNT, log_price


class LinearSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A frozen linear belief over K models.

    Attributes:
        theta: Shape (N, 3, K), float32: quality, log cost ratio, log latency; models innermost, as kernels read.
        a_inv: Shape (N, N, K), float32, of the quality.
        offsets: Shape (3, K), float64: standard deviation of the quality's noise; log of the blended price, plus half
            the log's noise variance, -inf for a free model, NaN where neither price nor cost is known; half the noise
            variance of the log of latency.
        evidence: Shape (K,), float64: qualities learnt of each model, as far as they are not forgotten.
        learnt_count: Qualities learnt so far, over all models.
    """

    theta: Array32
    a_inv: Array32
    offsets: Array64
    evidence: Array64
    learnt_count: int

    @property
    def latency_half_variance(self) -> Array64:
        """Half the variance of a log latency's noise: shape (K,)."""
        of_models: Array64 = self.offsets[LATENCY]
        return of_models

    def predict(self, row: Array32, category: str = "") -> Prediction:  # noqa: ARG002 - as others have it
        """Return what is expected for one encoded context, shape (N,)."""
        values = np.empty((4, self.offsets.shape[1]))
        predict_models(self.theta, self.a_inv, self.offsets, row, values)
        return Prediction(values)

    def predict_rows(
        self,
        rows: Array32,
        categories: Sequence[str] | None = None,  # noqa: ARG002 - as others have it
    ) -> Prediction:
        """Return the same for rows (B, N)."""
        values = np.empty((len(rows), 4, self.offsets.shape[1]))
        predict_models_rows(self.theta, self.a_inv, self.offsets, rows, values)
        return Prediction(values)


class Mirror:
    """The regressions of some models as decisions read them: float32, models innermost. Mutable; writer's thread only.

    Args:
        models: The models, K.
        width: Values in a row, N.

    Attributes:
        models: The models.
        places: Index of each among them, by slot.
        slots: Shape (K,), uint16: their numbers.
        log_prices: Shape (K,): their `log_price`.
        snapshot: What was written, overwritten by what is written next.
    """

    __slots__ = ("log_prices", "models", "places", "slots", "snapshot")

    def __init__(self, models: tuple[ModelSpec, ...], width: int) -> None:
        count = len(models)
        self.models = models
        self.places: Final = {model.slot: k for k, model in enumerate(models)}
        self.slots: Slots = np.array([model.slot for model in models], np.uint16)
        self.log_prices: Array64 = np.array([log_price(model) for model in models], np.float64)
        self.snapshot = LinearSnapshot(
            theta=np.empty((width, 3, count), np.float32),
            a_inv=np.empty((width, width, count), np.float32),
            offsets=np.empty((3, count)),
            evidence=np.empty(count),
            learnt_count=0,
        )

    def write(self, k: int, arm: Arm) -> None:
        """Write what is known of model *k*."""
        to = self.snapshot
        mirror_model(
            arm.a_inv,
            arm.theta,
            arm.numbers,
            self.log_prices,
            NOISE_GUESS_COUNT,
            k,
            to.theta,
            to.a_inv,
            to.offsets,
            to.evidence,
        )

    def count(self, learnt_count: int) -> None:
        """Take note of how many qualities were learnt."""
        was = self.snapshot
        self.snapshot = LinearSnapshot(was.theta, was.a_inv, was.offsets, was.evidence, learnt_count)

    def copied(self) -> LinearSnapshot:
        """Return a frozen copy of the snapshot."""
        return LinearSnapshot(
            theta=frozen(self.snapshot.theta.copy()),
            a_inv=frozen(self.snapshot.a_inv.copy()),
            offsets=frozen(self.snapshot.offsets.copy()),
            evidence=frozen(self.snapshot.evidence.copy()),
            learnt_count=self.snapshot.learnt_count,
        )
