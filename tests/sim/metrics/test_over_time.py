"""Budget compliance, adoption, recovery and means over seeds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banditd_sim.metrics import (
    MetricError,
    adoption_rounds,
    budget_compliance,
    exponential_mean,
    paired_difference,
    recovery_ratio,
    recovery_rounds,
    seed_mean,
    trailing_mean,
)


def test_trailing_mean_by_hand():
    """Of all so far, then of the last two."""
    assert trailing_mean([1.0, 3.0, 5.0, 1.0], 2).tolist() == [1.0, 2.0, 4.0, 3.0]


def test_compliance_by_hand():
    """Budget 1: costs 2, 2, 0, 0, 1 with a window of 2 run 2, 2, 1, 0, .5; then budget 2 is never exceeded."""
    first, second = budget_compliance([2.0, 2.0, 0.0, 0.0, 1.0, 1.0, 2.0], [(0, 1.0), (5, 2.0)], window=2)
    assert (first.start, first.stop, first.budget_usd) == (0, 5, 1.0)
    assert first.ratio == pytest.approx(1.0)
    assert first.rolling_ratio_largest == 2.0
    assert first.overshoot_area == pytest.approx(2.0 / 5.0)
    assert first.reentry_rounds == 2
    assert (second.ratio, second.overshoot_area, second.reentry_rounds) == (0.75, 0.0, 0)
    (over,) = budget_compliance([1.0, 1.0, 3.0], [(0, 1.0)], window=1)
    assert over.reentry_rounds is None


@pytest.mark.parametrize("phases", [[], [(1, 1.0)], [(0, 1.0), (0, 1.0)], [(0, 1.0), (9, 1.0)], [(0, 0.0)]])
def test_bad_phases_are_refused(phases):
    """They start at 0, rise, lie within the log, and have a budget."""
    with pytest.raises(MetricError, match="phases"):
        budget_compliance([1.0, 2.0], phases)


def test_adoption_by_hand():
    """Window 2, share 1/2 held for 3 rounds: played 0 1 0 1 0 1 1 1 after the start; from the second round on it is."""
    played = np.array([0, 0, 0, 1, 0, 1, 0, 1, 1, 1])
    assert adoption_rounds(played, start=2, share=0.5, window=2, hold=3) == 1
    assert adoption_rounds(played, start=2, share=1.0, window=2, hold=2) == 6
    assert adoption_rounds(played, start=2, share=1.0, window=2, hold=3) is None
    with pytest.raises(MetricError, match="start"):
        adoption_rounds(played, start=10, share=0.5)


def test_recovery_by_hand():
    """Reward 0 for 10 rounds, then 1: a mean of 10 rounds' memory needs 34 more to be within 3 % of 1."""
    reward = np.concatenate([np.ones(20), np.zeros(10), np.ones(100)])
    # After the zeros m = 0 and then 1 - .9^t: .97 is passed at t = 34.
    assert recovery_rounds(reward, start=20, reference=1.0, memory=10, hold=5) == 10 + 34 - 1
    assert recovery_rounds(reward, start=20, reference=1.2, memory=10, hold=5) is None
    assert recovery_ratio(reward, before=(0, 20), after=(20, 40)) == pytest.approx(0.5)
    assert exponential_mean([1.0, 0.0, 0.0], 2).tolist() == [1.0, 0.5, 0.25]
    with pytest.raises(MetricError, match="after"):
        recovery_ratio(reward, before=(0, 20), after=(20, 400))
    with pytest.raises(MetricError, match="before: expected a mean reward other than 0"):
        recovery_ratio(reward, before=(20, 30), after=(30, 40))


def test_seed_means_by_hand():
    """1, 2, 3: mean 2, t(.975, 2) = 4.302653, s = 1."""
    mean = seed_mean([1.0, 2.0, 3.0])
    half = 4.302652729911275 / math.sqrt(3.0)
    assert (mean.seeds_count, mean.mean, mean.low, mean.high) == pytest.approx((3, 2.0, 2.0 - half, 2.0 + half))
    alone = seed_mean([5.0])
    assert (alone.mean, alone.low, alone.high) == (5.0, -math.inf, math.inf)
    with pytest.raises(MetricError, match=r"values\[1\]: expected a finite number"):
        seed_mean([1.0, math.nan])


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=20))
def test_a_constant_difference_has_no_width_when_paired(values):
    """However much the seeds differ among themselves."""
    baseline = np.array(values)
    difference = paired_difference(baseline + 0.25, baseline)
    assert (difference.low, difference.mean, difference.high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-9)


def test_seed_intervals_cover():
    """Of 2,000 sets of 20 normal seeds, 95 % hold the mean."""
    rng = np.random.default_rng(0)
    sets = rng.standard_normal((2000, 20))
    held = np.mean([m.low <= 0.0 <= m.high for m in map(seed_mean, sets)])
    assert 0.935 <= held <= 0.965
