"""What banditd achieved on the test part, beside what needs no learning, knows more, or knows everything.

All figures are means per prompt of the test part, of what really came back: no estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from banditd_sim.datasets.paretobandit import ParetoBanditData
from banditd_sim.metrics.hull import Hull, constant_points, fixed_mix_hull, hull_quality
from banditd_sim.metrics.oracle import Frontier, lagrangian_frontier
from banditd_sim.metrics.regret import best_category_table, best_constant

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

LEARN_SPLIT: Final = "val"
TEST_SPLIT: Final = "test_holdout"
# More make the ends of the interval steadier: with 2,000 they move by about 0.0003 from seed to seed.
_RESAMPLES_COUNT: Final = 2000


@dataclass(frozen=True, slots=True)
class Point:
    """Mean quality in [0, 1] and mean cost in USD per prompt."""

    quality: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that the table, the picture and summary.json show.

    Attributes:
        prompts_count: Prompts of the test part.
        usd_weight: What a dollar is worth: utility = quality - usd_weight * cost.
        banditd: What banditd's choices gave.
        learning: The same for the part before, on which it began with nothing.
        constants: By model, in the order of the data: the same model for every prompt.
        category: For each category the model whose mean utility on the val part was best, measured with every model's
            outcome: more than banditd gets. What val did not hold gets the best constant of val.
        oracle: For each prompt the model whose utility is best, known beforehand.
        shares: By model, the share of prompts that banditd gave it.
        hull: Fixed mixes: the upper concave hull of the constants.
        frontier: The best that any choice per prompt can do, by mean cost.
        fixed_mix_quality: Quality of the fixed mix that costs what banditd costs.
        gain_over_fixed_mix: banditd's quality minus that.
        gain_interval: 95 % interval of the gain: the percentile bootstrap over prompts, the choices as they were. It
            leaves out what another order or another draw would have taught; other seeds show that.
    """

    prompts_count: int
    usd_weight: float
    banditd: Point
    learning: Point
    constants: Mapping[str, Point]
    category: Point
    oracle: Point
    shares: Mapping[str, float]
    hull: Hull
    frontier: Frontier
    fixed_mix_quality: float
    gain_over_fixed_mix: float
    gain_interval: tuple[float, float]

    @property
    def dearest(self) -> str:
        """The model that costs most on average."""
        return max(self.constants, key=lambda model_id: self.constants[model_id].cost_usd)

    @property
    def saved_share(self) -> float:
        """Share of the dearest model's cost that banditd does not spend."""
        return 1.0 - self.banditd.cost_usd / self.constants[self.dearest].cost_usd

    @property
    def quality_lost(self) -> float:
        """The dearest model's quality minus banditd's; negative if banditd's is better."""
        return self.constants[self.dearest].quality - self.banditd.quality

    def utility(self, point: Point) -> float:
        """Return what *point* is worth: quality minus the cost in units of quality."""
        return point.quality - self.usd_weight * point.cost_usd


def compare(data: ParetoBanditData, chosen: Int64, *, usd_weight: float, seed: int) -> Comparison:
    """Judge the choices on the test part.

    Args:
        data: N prompts by K models.
        chosen: (N,), for each prompt the column of the model that banditd chose.
        usd_weight: The router's objective.
        seed: Of the bootstrap.
    """
    # A prompt without a choice, -1, would be read as the last model.
    assert int(chosen.min()) >= 0
    learn, test = data.rows_of(LEARN_SPLIT), data.rows_of(TEST_SPLIT)
    utility = data.quality - usd_weight * data.cost_usd
    cost, quality = constant_points(data.quality[test], data.cost_usd[test])
    banditd = _point(data, test, chosen[test])
    hull = fixed_mix_hull(cost, quality)
    mix_quality = _fixed_mix_quality(hull, banditd.cost_usd)
    shares = np.bincount(chosen[test], minlength=len(data.model_ids)) / test.size
    return Comparison(
        prompts_count=int(test.size),
        usd_weight=usd_weight,
        banditd=banditd,
        learning=_point(data, learn, chosen[learn]),
        constants={model_id: Point(float(quality[k]), float(cost[k])) for k, model_id in enumerate(data.model_ids)},
        category=_point(data, test, _category_choices(data, utility, learn, test)),
        oracle=_point(data, test, np.argmax(utility[test], axis=1)),
        shares={model_id: float(shares[k]) for k, model_id in enumerate(data.model_ids)},
        hull=hull,
        frontier=lagrangian_frontier(data.quality[test], data.cost_usd[test]),
        fixed_mix_quality=mix_quality,
        gain_over_fixed_mix=banditd.quality - mix_quality,
        gain_interval=_gain_interval(data, test, chosen[test], seed),
    )


def summary(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON values; quality and cost_usd are means per prompt of the test part."""
    low, high = comparison.gain_interval

    def shown(point: Point) -> dict[str, float]:
        return {"quality": point.quality, "cost_usd": point.cost_usd, "utility": comparison.utility(point)}

    return {
        "banditd": shown(comparison.banditd) | {"shares": dict(comparison.shares)},
        "constants": {model_id: shown(point) for model_id, point in comparison.constants.items()},
        "category": shown(comparison.category),
        "oracle": shown(comparison.oracle),
        "fixed_mix_quality": comparison.fixed_mix_quality,
        "gain_over_fixed_mix": comparison.gain_over_fixed_mix,
        "gain_over_fixed_mix_ci95": [low, high],
        "dearest": comparison.dearest,
        "cost_saved_share": comparison.saved_share,
        "quality_lost": comparison.quality_lost,
        "learning_part": shown(comparison.learning),
        "usd_weight": comparison.usd_weight,
        "test_prompts": comparison.prompts_count,
    }


def _point(data: ParetoBanditData, rows: Int64, chosen: Int64) -> Point:
    return Point(float(data.quality[rows, chosen].mean()), float(data.cost_usd[rows, chosen].mean()))


def _fixed_mix_quality(hull: Hull, cost_usd: float) -> float:
    # Below the cheapest model there is no mix; its full quality is then more than fair to the mix.
    return hull_quality(hull, max(cost_usd, float(hull.cost[0])))


def _category_choices(data: ParetoBanditData, utility: Float64, learn: Int64, test: Int64) -> Int64:
    """Return for each of the *test* rows the model that the table fitted on the *learn* rows names."""
    _, label = np.unique(np.array(data.category), return_inverse=True)
    table = np.full(int(label.max()) + 1, -1, dtype=np.int64)
    fitted = best_category_table(utility[learn], label[learn])
    table[: fitted.size] = fitted
    return np.where(table[label[test]] >= 0, table[label[test]], best_constant(utility[learn])).astype(np.int64)


def _gain_interval(data: ParetoBanditData, rows: Int64, chosen: Int64, seed: int) -> tuple[float, float]:
    """Return the 2.5th and the 97.5th percentile of the gain over the fixed mix, prompts drawn with replacement."""
    rng = np.random.default_rng(seed)
    models_count = len(data.model_ids)
    columns = np.column_stack(
        [data.cost_usd[rows], data.quality[rows], data.cost_usd[rows, chosen], data.quality[rows, chosen]]
    )
    gains = np.empty(_RESAMPLES_COUNT)
    for i in range(_RESAMPLES_COUNT):
        # Both sides of the difference see the same prompts.
        means = columns[rng.integers(0, rows.size, rows.size)].mean(axis=0)
        hull = fixed_mix_hull(means[:models_count], means[models_count : 2 * models_count])
        gains[i] = means[-1] - _fixed_mix_quality(hull, float(means[-2]))
    low, high = np.percentile(gains, [2.5, 97.5])
    return float(low), float(high)
