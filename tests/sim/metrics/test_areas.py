"""AIQ, hypervolume, savings and RouterArena: hand-worked values, and the code's algorithm by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banditd_sim.metrics import (
    MetricError,
    aiq_code,
    aiq_paper,
    cost_saving_at_quality,
    hypervolume,
    quality_at_cost,
    routerarena_score,
)

seeds = st.integers(0, 2**32 - 1)
COST, QUALITY = [1.0, 2.0, 4.0], [0.2, 0.6, 0.8]


def test_aiq_by_hand():
    """Trapezoids .4 and 1.4: paper over the range 3, code over the greatest cost 4."""
    assert aiq_paper(COST, QUALITY) == pytest.approx(1.8 / 3.0)
    assert aiq_code(COST, QUALITY) == pytest.approx(1.8 / 4.0)
    # Level beyond its end: 1 more at .8.
    assert aiq_paper(COST, QUALITY, cost_max=5.0) == pytest.approx(2.6 / 4.0)
    assert aiq_code(COST, QUALITY, cost_max=5.0) == pytest.approx(2.6 / 5.0)
    assert aiq_paper(COST, QUALITY, cost_min=2.0) == pytest.approx(1.4 / 2.0)
    # A last setting that is worse: the hull is level there.
    assert aiq_code([*COST, 6.0], [*QUALITY, 0.1], cost_max=6.0) == pytest.approx((1.8 + 1.6) / 6.0)
    assert aiq_paper([*COST, 6.0], [*QUALITY, 0.1]) == pytest.approx((1.8 + 1.6) / 5.0)


def test_aiq_refuses_what_has_none():
    """An empty range, one that starts too far left, too few points, a common end left of the router's."""
    with pytest.raises(MetricError, match="cost_max: expected above cost_min"):
        aiq_paper([1.0, 1.0], [0.1, 0.2])
    with pytest.raises(MetricError, match="cost_min: expected at least the cheapest setting"):
        aiq_paper(COST, QUALITY, cost_min=0.5)
    with pytest.raises(MetricError, match="at least 3 distinct costs"):
        aiq_code(COST[:2], QUALITY[:2])
    with pytest.raises(MetricError, match="cost_max: expected at least the cost"):
        aiq_code(COST, QUALITY, cost_max=3.0)


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_aiq_code_equals_its_algorithm_by_brute_force(seed):
    """RouterBench's steps: lift inner points to the best line over them, drop what falls, extend, integrate."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(3, 9))
    cost, quality = np.sort(rng.random(m)) + 0.1, rng.random(m)
    lifted = []
    for k in range(1, m - 1):
        lines = [np.interp(cost[k], cost[[i, j]], quality[[i, j]]) for i in range(k) for j in range(k + 1, m)]
        lifted.append((cost[k], max([quality[k], *lines])))
    if quality[-1] >= lifted[-1][1]:
        lifted.append((cost[-1], quality[-1]))
    points = [(cost[0], quality[0]), *lifted]
    kept = [p for i, p in enumerate(points) if i == 0 or p[1] >= points[i - 1][1]]
    end = 1.5
    x, y = np.array([*kept, (end, kept[-1][1])]).T
    assert aiq_code(cost, quality, cost_max=end) == pytest.approx(np.trapezoid(y, x) / end, rel=1e-9)


def test_hypervolume_by_hand():
    """(1, .5) and (2, .8) up to cost 4 from quality 0: 3 * .5 + 2 * .3; a dominated point adds nothing."""
    kwargs = {"cost_ref": 4.0, "quality_ref": 0.0}
    assert hypervolume([1.0, 2.0], [0.5, 0.8], **kwargs) == pytest.approx(2.1)
    assert hypervolume([1.0, 2.0, 3.0, 2.0], [0.5, 0.8, 0.7, 0.6], **kwargs) == pytest.approx(2.1)
    assert hypervolume([5.0], [0.9], **kwargs) == 0.0
    assert hypervolume([1.0], [0.5], cost_ref=np.e, quality_ref=0.25, log_cost=True) == pytest.approx(0.25)
    with pytest.raises(MetricError, match="> 0, for log_cost"):
        hypervolume([0.0], [0.5], cost_ref=1.0, quality_ref=0.0, log_cost=True)


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_hypervolume_equals_the_share_of_dominated_points(seed):
    """By counting a fine grid."""
    rng = np.random.default_rng(seed)
    cost, quality = rng.random(5), rng.random(5)
    grid = (np.arange(100) + 0.5) / 100
    c, q = np.meshgrid(grid, grid)
    dominated = ((cost[:, None, None] <= c) & (quality[:, None, None] >= q)).any(axis=0).mean()
    assert hypervolume(cost, quality, cost_ref=1.0, quality_ref=0.0) == pytest.approx(dominated, abs=0.05)


def test_savings_by_hand():
    """Reference (4, .8): .95 of it is .76, first reached at 4, or by a mix at 3.6."""
    kwargs = {"reference_cost": 4.0, "reference_quality": 0.8}
    assert cost_saving_at_quality(COST, QUALITY, **kwargs, share=0.75) == pytest.approx(0.5)
    assert cost_saving_at_quality(COST, QUALITY, **kwargs, share=0.95) == pytest.approx(0.0)
    assert cost_saving_at_quality(COST, QUALITY, **kwargs, share=0.95, mixed=True) == pytest.approx(0.1)
    assert np.isnan(cost_saving_at_quality(COST, QUALITY, **kwargs, share=1.1))
    assert np.isnan(cost_saving_at_quality(COST, QUALITY, **kwargs, share=1.1, mixed=True))
    assert quality_at_cost(COST, QUALITY, limit=3.0) == 0.6
    assert quality_at_cost(COST, QUALITY, limit=3.0, mixed=True) == pytest.approx(0.7)
    assert np.isnan(quality_at_cost(COST, QUALITY, limit=0.5))
    with pytest.raises(MetricError, match="reference_cost: expected > 0"):
        cost_saving_at_quality(COST, QUALITY, reference_cost=0.0, reference_quality=0.8)


def test_routerarena_scores_that_were_published():
    """The two check values, the clamps, and the ends."""
    assert routerarena_score(0.7554, 1.00) == pytest.approx(0.7207, abs=5e-5)
    assert routerarena_score(0.7718, 0.30) == pytest.approx(0.7531, abs=5e-5)
    assert routerarena_score(0.7, 0.0001) == routerarena_score(0.7, 0.0044)
    assert routerarena_score(1.0, 0.001) == 1.0
    assert routerarena_score(0.7, 500.0) == 0.0
    assert routerarena_score(0.0, 500.0) == 0.0
    with pytest.raises(MetricError, match=r"accuracy: expected in \[0, 1\], got 75"):
        routerarena_score(75.0, 1.0)
