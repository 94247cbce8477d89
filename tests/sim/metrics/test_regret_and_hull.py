"""Regret, hull, oracle and mixes against hand-worked tables and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from banditd_sim.metrics import (
    MetricError,
    best_category_table,
    best_constant,
    category_regret,
    chosen_mix,
    constant_points,
    constant_regret,
    fixed_mix_hull,
    gain_over_chosen_mix,
    gain_over_hull,
    hull_quality,
    hull_to_oracle_share,
    lagrangian_frontier,
    mix_point,
    oracle_quality,
    oracle_regret,
)

UTILITY = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 1.0, 0.5], [1.0, 0.0, 0.5]])
RECEIVED = np.array([0.5, 0.5, 1.0, 0.0])
seeds = st.integers(0, 2**32 - 1)


def test_regrets_by_hand():
    """All constants average .5, so the first is taken; by category 0, 1, 1, 0 the table is perfect."""
    assert oracle_regret(UTILITY, RECEIVED).tolist() == [0.5, 1.0, 1.0, 2.0]
    assert constant_regret(UTILITY, RECEIVED).tolist() == [0.5, 0.0, -1.0, 0.0]
    assert best_category_table(UTILITY, [0, 1, 1, 0]).tolist() == [0, 1]
    assert category_regret(UTILITY, RECEIVED, [0, 1, 1, 0]).tolist() == [0.5, 1.0, 1.0, 2.0]


def test_gaps_keep_a_model_from_being_the_constant():
    """A mean over other prompts is no comparison; the oracle may use it where it was measured."""
    gappy = UTILITY.copy()
    gappy[:, 1] = [np.nan, 1.0, 1.0, 1.0]
    assert best_constant(gappy) == 0
    assert oracle_regret(gappy, RECEIVED).tolist() == [0.5, 1.0, 1.0, 2.0]
    assert best_category_table(gappy, [3, 0, 0, 0]).tolist() == [1, -1, -1, 0]
    gappy[1, [0, 2]] = np.nan
    with pytest.raises(MetricError, match="measured in every round"):
        constant_regret(gappy, RECEIVED)


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: oracle_regret(UTILITY, RECEIVED[:2]), "received: expected 4 rows, as in utility, got 2"),
        (lambda: oracle_regret(np.full((2, 2), np.nan), [0, 0]), r"utility\[0\]: expected at least one measured model"),
        (lambda: oracle_regret(UTILITY, [0, np.nan, 0, 0]), r"received\[1\]: expected a finite number, got nan"),
        (lambda: oracle_regret([], []), "utility: expected a non-empty table"),
        (lambda: category_regret(UTILITY, RECEIVED, [0, -1, 0, 0]), r"category\[1\]: expected >= 0, got -1"),
        (lambda: fixed_mix_hull([-1.0, 1.0], [0.0, 1.0]), "cost: expected >= 0, got -1"),
        (lambda: lagrangian_frontier(UTILITY, -UTILITY), "cost: expected >= 0"),
        (lambda: lagrangian_frontier(UTILITY, UTILITY[:, :2]), "cost: expected nan exactly where quality is nan"),
        (lambda: constant_points([[1.0, np.nan]], [[1.0, np.nan]]), r"quality\[:, 1\]: expected at least one measured"),
    ],
)
def test_bad_numbers_are_refused(make, message):
    """With the argument, what was expected and what was found; never a silent nan."""
    with pytest.raises(MetricError, match=message):
        make()


def test_hull_by_hand():
    """Of (1, .2), (2, .8), (3, .7), (4, .9), (2.9, .84) the third is dominated and the last below the edge."""
    hull = fixed_mix_hull([1.0, 2.0, 3.0, 4.0, 2.9], [0.2, 0.8, 0.7, 0.9, 0.84])
    assert hull.model.tolist() == [0, 1, 3]
    assert hull_quality(hull, 1.5) == pytest.approx(0.5)
    assert hull_quality(hull, 3.0) == pytest.approx(0.85)
    assert hull_quality(hull, 9.0) == 0.9
    assert np.isnan(hull_quality(hull, 0.9))
    assert gain_over_hull(hull, cost=1.5, quality=0.6) == pytest.approx(0.1)
    assert hull_to_oracle_share(hull, cost=1.5, quality=0.6, oracle_quality=0.9) == pytest.approx(0.25)
    assert np.isnan(hull_to_oracle_share(hull, cost=4.0, quality=0.9, oracle_quality=0.9))


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_hull_is_the_best_mix_of_two(seed):
    """Z(c) equals the best of all pairs mixed to cost at most c (a mix of three is never better)."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 7))
    cost, quality = rng.integers(0, 6, k).astype(float), rng.integers(0, 6, k) / 5.0
    hull = fixed_mix_hull(cost, quality)
    for c in np.linspace(cost.min(), 6.0, 13):
        options = [quality[i] for i in range(k) if cost[i] <= c]
        for i, j in itertools.permutations(range(k), 2):
            if cost[i] <= c < cost[j]:
                share = (c - cost[i]) / (cost[j] - cost[i])
                options.append(quality[i] + share * (quality[j] - quality[i]))
        assert hull_quality(hull, float(c)) == pytest.approx(max(options))


def test_the_chosen_mix_by_hand():
    """History: (1, .2), (3, .8). A budget of 2 is half and half; measured at (2, .3) and (4, .7) it gives (3, .5)."""
    history = fixed_mix_hull([1.0, 3.0, 2.0], [0.2, 0.8, 0.1])
    mix = chosen_mix(history, budget=2.0, models_count=3)
    assert mix.weight.tolist() == [0.5, 0.5, 0.0]
    assert mix_point(mix, [2.0, 4.0, 9.0], [0.3, 0.7, 0.9]) == pytest.approx((3.0, 0.5))
    assert chosen_mix(history, budget=50.0, models_count=3).weight.tolist() == [0.0, 1.0, 0.0]
    assert chosen_mix(history, budget=1.0, models_count=3).weight.tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(MetricError, match="budget: expected at least the cheapest"):
        chosen_mix(history, budget=0.5, models_count=3)
    gain = lambda cost, quality: gain_over_chosen_mix(
        history, [2.0, 4.0, 9.0], [0.3, 0.7, 0.9], cost=cost, quality=quality
    )
    assert gain(3.0, 0.6) == pytest.approx(0.1)
    assert gain(2.0, 0.6) == pytest.approx(0.3)
    assert gain(8.0, 0.6) == pytest.approx(-0.1)
    assert np.isnan(gain(1.0, 0.6))
    # Measured the other way round, the dear end costs less and is the one to compare with.
    assert gain_over_chosen_mix(history, [4.0, 2.0, 9.0], [0.3, 0.7, 0.9], cost=2.5, quality=0.7) == pytest.approx(0.0)


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_a_chosen_mix_never_beats_the_hull_in_hindsight(seed):
    """On the measured rounds; and chosen on the same rounds it is that hull."""
    rng = np.random.default_rng(seed)
    k = 5
    measured = rng.random((2, k))
    history = fixed_mix_hull(*rng.random((2, k)))
    hull = fixed_mix_hull(*measured)
    for cost in np.linspace(measured[0].min(), 1.2, 9):
        chosen = gain_over_chosen_mix(history, *measured, cost=float(cost), quality=0.5)
        assert np.isnan(chosen) or chosen >= gain_over_hull(hull, cost=float(cost), quality=0.5) - 1e-12
        same = gain_over_chosen_mix(hull, *measured, cost=float(cost), quality=0.5)
        assert same == pytest.approx(gain_over_hull(hull, cost=float(cost), quality=0.5))


def test_frontier_by_hand():
    """Two prompts: one gains .8 for 1 more, one .2 for 1 more; half of the second step at a mean cost of 1.75."""
    frontier = lagrangian_frontier([[0.1, 0.9], [0.5, 0.7]], [[1.0, 2.0], [1.0, 2.0]])
    assert frontier.cost == pytest.approx([1.0, 1.5, 2.0])
    assert frontier.quality == pytest.approx([0.3, 0.7, 0.8])
    assert oracle_quality(frontier, 1.75) == pytest.approx(0.75)
    assert oracle_quality(frontier, 5.0) == pytest.approx(0.8)
    assert np.isnan(oracle_quality(frontier, 0.9))


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_frontier_equals_the_linear_program(seed):
    """Max mean quality under a mean cost, by scipy's solver, with gaps and ties."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 6)), int(rng.integers(2, 5))
    quality, cost = rng.integers(0, 5, (n, k)) / 4.0, rng.integers(0, 5, (n, k)).astype(float)
    gaps = rng.random((n, k)) < 0.2
    gaps[:, 0] = False
    quality[gaps] = cost[gaps] = np.nan
    frontier = lagrangian_frontier(quality, cost)
    usable = ~gaps.ravel()
    each = np.kron(np.eye(n), np.ones(k))[:, usable]
    for budget in np.linspace(frontier.cost[0], np.nanmax(cost), 5):
        solved = linprog(
            -quality.ravel()[usable] / n,
            A_ub=[cost.ravel()[usable] / n],
            b_ub=[budget + 1e-12],
            A_eq=each,
            b_eq=np.ones(n),
        )
        assert oracle_quality(frontier, float(budget)) == pytest.approx(-solved.fun, abs=1e-7)


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_the_oracle_is_never_below_the_hull(seed):
    """Whatever the table."""
    rng = np.random.default_rng(seed)
    quality, cost = rng.random((20, 4)), rng.random((20, 4))
    hull = fixed_mix_hull(*constant_points(quality, cost))
    frontier = lagrangian_frontier(quality, cost)
    for budget in np.linspace(hull.cost[0], 1.0, 7):
        assert oracle_quality(frontier, float(budget)) >= hull_quality(hull, float(budget)) - 1e-12
