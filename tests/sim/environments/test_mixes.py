"""Hulls of tables with gaps count the table's columns."""

import numpy as np
import pytest

from banditd_sim.environments.baselines import Known, play_baseline
from banditd_sim.environments.mixes import measured_hull

from .worlds import make_table, world_of


def test_models_that_were_never_measured_are_no_points_and_shift_no_index():
    """Of four columns the first was never measured and the third is left out: the hull is of the other two."""
    quality = np.array([[np.nan, 0.2, 0.9, 0.6], [np.nan, 0.4, 0.9, np.nan]])
    cost = np.where(np.isnan(quality), np.nan, [[0.0, 1.0, 1.5, 2.0]])
    hull = measured_hull(quality, cost, np.array([True, True, False, True]))
    assert hull.model.tolist() == [1, 3]
    assert hull.quality == pytest.approx([0.3, 0.6])
    assert hull.cost.tolist() == [1.0, 2.0]
    assert measured_hull(quality, cost).model.tolist() == [1, 2]


def test_a_history_that_lacks_a_model_recommends_the_right_ones():
    """m0 is new: the history's mix is m2 for whoever has no budget, and half m1, half m2 for 2 dollars."""
    quality = np.tile([0.9, 0.2, 0.8], (40, 1))
    quality[:20, 0] = np.nan
    table = make_table(quality, np.tile([1.0, 1.0, 3.0], (40, 1)))
    world = world_of(table, rows=np.arange(20, 40))
    known = Known(np.arange(20), 0.0)
    assert set(play_baseline("fixed_mix", world, known, None).model) == {2}
    rounds = play_baseline("fixed_mix", world, known, 2.0)
    assert set(rounds.model) == {1, 2}
    assert rounds.propensity == pytest.approx([0.5] * 20)
