"""Rounds: what happened, round by round, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from banditd_sim.ope.arrays import Bool, Float64, Int64


@dataclass(frozen=True, slots=True)
class Rounds:
    """n rounds of one policy on one seed, the learning part included.

    Attributes:
        row: Int64 (n,), row of the prompt in the table.
        model: Int16 (n,), index of the chosen model.
        propensity: Float64 (n,), in (0, 1].
        quality: Float64 (n,), what the answer was really worth; 0 for a failed call.
        cost_usd: Float64 (n,), what was really billed.
        latency_ms: Float64 (n,), NaN where unknown.
        failed: Bool (n,).
        reported: Float64 (n,), quality as the policy was told before the end; NaN where it was not.
        learn_count: The first so many rounds only teach.
        seconds: Process time that choosing, revealing and updating took; NaN where nothing was learnt in rounds.
        rival: Int16 (n,), index of the model that the chosen one was compared with; None where nothing was compared.
    """

    row: Int64
    model: npt.NDArray[np.int16]
    propensity: Float64
    quality: Float64
    cost_usd: Float64
    latency_ms: Float64
    failed: Bool
    reported: Float64
    learn_count: int
    seconds: float
    rival: npt.NDArray[np.int16] | None = None

    def __len__(self) -> int:
        return len(self.row)

    @property
    def measured(self) -> slice:
        """The rounds that count."""
        return slice(self.learn_count, len(self.row))
