"""Ratings from comparisons: the truth of a known world, with intervals that hold it and judges who lie."""

import numpy as np

from banditd.learner.leaderboard import normal_quantile
from banditd.policies.ratings import Votes, fit_ratings

TRUTH = np.array([0.9, 0.4, 0.0, -0.4, -0.9])
ETA, BIAS = 0.3, 0.2


def world(rng, count=3000, judges=60, liars=0):
    """Votes of judges on random pairs; the first *liars* say the opposite."""
    a = rng.integers(0, len(TRUTH), count)
    b = (a + rng.integers(1, len(TRUTH), count)) % len(TRUTH)
    order = rng.choice([-1.0, 1.0], count)
    z = TRUTH[a] - TRUTH[b] + BIAS * order
    for_a, for_b = 1 / (1 + np.exp(-(z - ETA))), 1 / (1 + np.exp(z + ETA))
    u = rng.random(count)
    said = np.where(u < for_a, 0, np.where(u < for_a + for_b, 1, 2))
    judge = rng.integers(0, judges, count)
    lies = judge < liars
    said = np.where(lies & (said < 2), 1 - said, said)
    return Votes(a, b, np.eye(3)[said], order, judge)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Nine in ten, over 200 worlds and five models, by the sandwich over judges."""
    z = normal_quantile(0.9)
    held = []
    for seed in range(200):
        ratings = fit_ratings(world(np.random.default_rng(seed), 600), len(TRUTH))
        held.append(np.abs(ratings.utility - TRUTH) <= z * ratings.quantile_scale * ratings.deviation)
    assert 0.87 <= np.mean(held) <= 0.94


def test_the_place_and_ties_are_told_apart_from_the_models():
    """Bias and threshold are found, so that they are no part of a rating."""
    ratings = fit_ratings(world(np.random.default_rng(1), 40_000), len(TRUTH))
    assert abs(ratings.bias - BIAS) < 0.05
    assert abs(ratings.eta - ETA) < 0.03
    np.testing.assert_allclose(ratings.utility, TRUTH, atol=0.06)


def test_judges_who_lie_are_found_and_do_not_count():
    """Three of sixty: all found, nobody accused wrongly, and the ratings are those of the others."""
    votes = world(np.random.default_rng(2), liars=3)
    ratings = fit_ratings(votes, len(TRUTH))
    assert (ratings.honest[:3] < 0.05).all()
    assert (ratings.honest[3:] > 0.5).all()
    weighed = np.abs(ratings.utility - TRUTH).mean()
    assert weighed < np.abs(fit_ratings(votes, len(TRUTH), weighs_judges=False).utility - TRUTH).mean()


def test_a_model_that_never_lost_has_a_finite_rating_and_a_wide_interval():
    """As one that was never compared."""
    votes = Votes(np.array([0, 0]), np.array([1, 1]), np.eye(3)[[0, 0]], np.zeros(2), np.zeros(2, int))
    ratings = fit_ratings(votes, 3)
    assert np.isfinite(ratings.utility).all()
    assert (ratings.deviation > 0.5).all()
    assert ratings.utility[0] > ratings.utility[2] > ratings.utility[1]
