"""What is known of a policy that does not decide, against the one that does: a fold of constant size."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from banditd.domain.arrays import Array64
from banditd.domain.decision import Choice, Objective
from banditd.domain.outcome import Lesson
from banditd.evaluation.sequence import exceeds, width
from banditd.kernels import contrast, tally
from banditd.kernels import contrasts as at

# Decisions that may wait for their quality: two megabytes. Beyond, the oldest are no longer evaluated.
WAITING_MAX: Final = 16_384


@dataclass(frozen=True, slots=True)
class Figures:
    """What an account says. Values are means of utility per decision; NaN where nothing can be said yet.

    Attributes:
        decisions: Decisions evaluated.
        waiting: Decisions whose quality is yet to come.
        dropped: Decisions that were not evaluated because too many waited.
        effective_samples: (sum w)^2 / sum w^2 of the importance weights.
        live: Value of the policy that decides, doubly robust.
        shadow: Value of the other one, doubly robust.
        live_snips: Mean utility that was seen.
        shadow_snips: The same weighted, weights normalised to sum to 1.
        low: Lower bound of shadow - live, valid at any time; -infinity before the first decision.
        high: Upper bound.
        overlap: Mean probability on which both agree, [0, 1].
        unsupported: Mean probability that the shadow gives to models that could not be drawn, [0, 1].
        live_cost_usd: Expected cost per decision.
        shadow_cost_usd: The other one's.
        live_latency_ms: Expected latency.
        shadow_latency_ms: The other one's.
    """

    decisions: int
    waiting: int
    dropped: int
    effective_samples: float
    live: float
    shadow: float
    live_snips: float
    shadow_snips: float
    low: float
    high: float
    overlap: float
    unsupported: float
    live_cost_usd: float
    shadow_cost_usd: float
    live_latency_ms: float
    shadow_latency_ms: float

    @property
    def difference(self) -> float:
        """Shadow - live, doubly robust."""
        return self.shadow - self.live


class Account:
    """The evaluation of one policy against the one that decides. Mutable; the writer's thread only.

    Values are over the decisions whose quality came. Utilities are cut to [-1, 1], to [0, 1] where only quality counts.
    """

    __slots__ = ("_dropped", "_sums", "_waiting")

    def __init__(self) -> None:
        self._sums: Array64 = np.zeros(at.SUMS_WIDTH)
        self._waiting: dict[int, Array64] = {}
        self._dropped = 0

    @property
    def is_open(self) -> bool:
        """Whether anything stands in it."""
        return bool(self._waiting) or self._dropped > 0 or bool(self._sums[at.COUNT] > 0.0)

    def note(self, position: int, choice: Choice, shadow_pmf: Array64, objective: Objective) -> None:
        """Take note of a decision.

        Args:
            position: Where it stands in the log.
            choice: What was drawn; its expectations are the baseline.
            shadow_pmf: Shape (K,), how the other policy would have drawn, from what it had learnt before.
            objective: The trade-off that utilities are measured by.
        """
        row = np.empty(at.CONTRAST_WIDTH)
        usd_weight, second_weight = objective.usd_weight, objective.second_weight
        contrast(choice.pmf, shadow_pmf, choice.expected, usd_weight, second_weight, choice.index, row)
        if len(self._waiting) >= WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
            self._dropped += 1
        self._waiting[position] = row

    def waits_for(self, position: int) -> bool:
        """Return whether a decision was taken note of, and its quality has not come."""
        return position in self._waiting

    def settle(self, position: int, lesson: Lesson, objective: Objective) -> None:
        """Evaluate a decision whose quality came; what else was not seen is taken as expected."""
        row = self._waiting.pop(position, None)
        if row is None:
            return
        assert lesson.quality is not None
        cost = math.nan if lesson.cost_usd is None else lesson.cost_usd
        latency = math.nan if lesson.latency_ms is None else lesson.latency_ms
        tally(row, lesson.quality, cost, latency, objective.usd_weight, objective.second_weight, self._sums)

    def forget(self, position: int) -> None:
        """Give up a decision whose quality will not come."""
        self._waiting.pop(position, None)

    def exceeds(self, margin: float) -> bool:
        """Return whether the lower bound of shadow - live is above *margin*."""
        total = self._sums[at.LOW_SUM] - self._sums[at.COUNT] * margin / at.SCALE
        return exceeds(float(total), float(self._sums[at.LOW_SQUARE]))

    def figures(self) -> Figures:
        """Return what it says now. Takes a fraction of a millisecond."""
        s = self._sums.tolist()
        low, high = -math.inf, math.inf
        if s[at.COUNT] > 0.0:
            low = (s[at.LOW_SUM] - width(s[at.LOW_SQUARE])) * at.SCALE / s[at.COUNT]
            high = -(s[at.HIGH_SUM] - width(s[at.HIGH_SQUARE])) * at.SCALE / s[at.COUNT]
        return Figures(
            decisions=int(s[at.COUNT]),
            waiting=len(self._waiting),
            dropped=self._dropped,
            effective_samples=_ratio(s[at.WEIGHT_SUM] ** 2, s[at.WEIGHT_SQUARE], 0.0),
            live=_ratio(s[at.LIVE_SUM], s[at.COUNT]),
            shadow=_ratio(s[at.SHADOW_SUM], s[at.COUNT]),
            live_snips=_ratio(s[at.REWARD], s[at.COUNT]),
            shadow_snips=_ratio(s[at.WEIGHTED_REWARD], s[at.WEIGHT_SUM]),
            low=low,
            high=high,
            overlap=_ratio(s[at.OVERLAP_SUM], s[at.COUNT]),
            unsupported=_ratio(s[at.UNSUPPORTED_SUM], s[at.COUNT]),
            live_cost_usd=_ratio(s[at.LIVE_COST_SUM], s[at.COST_COUNT]),
            shadow_cost_usd=_ratio(s[at.SHADOW_COST_SUM], s[at.COST_COUNT]),
            live_latency_ms=_ratio(s[at.LIVE_LATENCY_SUM], s[at.LATENCY_COUNT]),
            shadow_latency_ms=_ratio(s[at.SHADOW_LATENCY_SUM], s[at.LATENCY_COUNT]),
        )

    def to_arrays(self) -> dict[str, Array64]:
        """Return the whole state as named arrays."""
        rows = np.array(list(self._waiting.values())).reshape(-1, at.CONTRAST_WIDTH)
        positions = np.array(list(self._waiting), np.float64)
        dropped = np.array([float(self._dropped)])
        return {
            "sums": self._sums,
            "waiting": rows,
            "positions": positions,
            "dropped": dropped,
        }

    def load_arrays(self, arrays: Mapping[str, Array64]) -> None:
        """Take everything from what `to_arrays` gave."""
        self._sums = np.array(arrays["sums"])
        rows = np.array(arrays["waiting"])
        self._waiting = {int(position): row for position, row in zip(arrays["positions"], rows, strict=True)}
        self._dropped = int(arrays["dropped"][0])


def _ratio(numerator: float, denominator: float, otherwise: float = math.nan) -> float:
    return numerator / denominator if denominator > 0.0 else otherwise
