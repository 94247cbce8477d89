"""Intervals by what they promise: 95 % of 1,000 logs, and all looks at once on logs that learn as they go."""

import numpy as np
import pytest

from banditd_sim.ope import (
    PseudoOutcomes,
    RoundTerms,
    Settings,
    confidence_sequence,
    dr_outcomes,
    empirical_bernstein_interval,
    evaluate,
    ips_outcomes,
    normal_interval,
    running,
    skew_corrected_interval,
)
from banditd_sim.ope import estimators as est

from .worlds import adaptive_logs, draw, make_world, wrong_propensities

RUNS = 1000
ROUNDS = 1000


def coverage(world, names, intervals, *, runs=RUNS, rounds=ROUNDS, seed=21, logged=None, resamples=400):
    """Return the share of logs in which each (estimator, interval) held the truth."""
    rng = np.random.default_rng(seed)
    hits = {}
    for run in range(runs):
        log, target = draw(world, rounds, rng, logged=logged)
        settings = Settings(limits=None, resamples=resamples)
        for row in evaluate(log, target, names, intervals, seed=run, settings=settings):
            key = row.estimator, row.interval
            hits[key] = hits.get(key, 0) + (row.low <= world.truth <= row.high)
    return {key: count / runs for key, count in hits.items()}


def test_normal_and_bootstrap_intervals_cover_in_93_to_97_percent():
    """Of 1,000 logs of 1,000 rounds, for plain and for self-normalised estimators."""
    shares = coverage(make_world(0), ("ips", "snips", "dr", "sndr"), ("normal", "bootstrap"))
    assert len(shares) == 8
    for key, share in shares.items():
        assert 0.93 <= share <= 0.97, (key, share)


def test_skew_corrected_intervals_cover_in_93_to_97_percent():
    """Of 1,000 logs each, of 1,000 rounds, and of 500 with the weights of a target far from the log."""
    names, intervals = ("ips", "snips", "dr", "sndr"), ("skew_corrected",)
    shares = coverage(make_world(0), names, intervals)
    far = coverage(make_world(2, heat=2.0), names, intervals, rounds=500)
    for key, share in (*shares.items(), *far.items()):
        assert 0.93 <= share <= 0.97, (key, share)


def test_skewed_terms_are_covered_where_normal_intervals_miss():
    """Log-normal terms, mostly small and rarely large: 4,000 samples of 200 rounds."""
    rng = np.random.default_rng(4)
    hits = {normal_interval: 0, skew_corrected_interval: 0}
    for _ in range(4000):
        terms = RoundTerms(addend=rng.lognormal(0.0, 1.5, 200), numerator=None)
        for make in hits:
            hits[make] += np.exp(0.5 * 1.5**2) in make(terms)
    assert hits[normal_interval] / 4000 < 0.90
    assert 0.93 <= hits[skew_corrected_interval] / 4000 <= 0.97


def test_wrong_propensities_break_the_coverage():
    """The same check fails by far when a flattened pmf was written down."""
    world = make_world(1)
    shares = coverage(
        world, ("ips",), ("normal", "skew_corrected", "bootstrap"), runs=200, logged=wrong_propensities(world)
    )
    for key, share in shares.items():
        assert share < 0.9, (key, share)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("heat", [0.5, 1.0, 1.5])
def test_normal_and_bootstrap_intervals_cover_in_many_worlds(seed, heat):
    """Of 2,000 logs of 2,000 rounds each, in six worlds, all estimators that are unbiased or consistent."""
    world = make_world(seed, heat=heat)
    names, intervals = ("ips", "snips", "dr", "sndr"), ("normal", "skew_corrected", "bootstrap")
    shares = coverage(world, names, intervals, runs=2000, rounds=2000, seed=1000 + seed, resamples=1000)
    for key, share in shares.items():
        assert 0.93 <= share <= 0.97, (key, share)


def test_empirical_bernstein_covers_with_the_structural_range():
    """Always more than 95 %, and far from useless: its width halves with four times the rounds."""
    world = make_world(0)
    shares = coverage(world, ("ips", "dr"), ("empirical_bernstein",), runs=300)
    assert min(shares.values()) >= 0.95
    rng = np.random.default_rng(0)
    widths = []
    for rounds in (5000, 20000):
        log, target = draw(world, rounds, rng)
        (row,) = evaluate(log, target, ("ips",), ("empirical_bernstein",))
        widths.append(row.high - row.low)
    assert widths[1] < 0.55 * widths[0]


def test_empirical_bernstein_with_the_seen_range_fails():
    """Rare, heavy terms: the range that was seen is too small, the structural one holds."""
    rng = np.random.default_rng(1)
    misses = {"seen": 0, "structural": 0}
    for _ in range(400):
        weight = np.where(rng.random(100) < 0.01, 100.0, 0.0)
        terms = est.ips(np.ones(100), weight)
        for name, bound in (("seen", max(1e-9, weight.max())), ("structural", 100.0)):
            interval = empirical_bernstein_interval(terms, term_min=0.0, term_max=bound)
            misses[name] += 1.0 not in interval
    assert misses["seen"] > 0.2 * 400
    assert misses["structural"] <= 0.05 * 400


@pytest.fixture(scope="module")
def adaptive():
    """300 logs of 1,000 rounds by a policy that learns."""
    return adaptive_logs(300, 1000, seed=6)


def weights(pmf, target, action):
    """Importance weights (runs, rounds)."""
    pick = lambda array: np.take_along_axis(array, action[..., None], axis=2)[..., 0]
    return pick(target) / pick(pmf)


def held(sequence, truth):
    """Share of logs whose bounds held at every look."""
    return float(((sequence.low <= truth) & (truth <= sequence.high)).all(axis=-1).mean())


def test_confidence_sequences_hold_at_every_round_of_adaptive_logs(adaptive):
    """At least 95 % of 300 logs, at all 1,000 rounds at once, and so does their running intersection."""
    reward, action, pmf, target, _, truth = adaptive
    sequence = confidence_sequence(ips_outcomes(reward, weights(pmf, target, action)))
    assert held(sequence, truth) >= 0.95
    assert held(running(sequence), truth) >= 0.95
    # It says something, too.
    assert float((sequence.high - sequence.low)[:, -1].mean()) < 0.35


def test_doubly_robust_sequences_hold_and_are_narrower(adaptive):
    """With predictable reward models, at 60 looks."""
    reward, action, pmf, target, q, truth = adaptive
    looks = np.unique(np.geomspace(10, 1000, 60).astype(int))
    each = [dr_outcomes(*row) for row in zip(reward, action, target, pmf, q, strict=True)]
    outcomes = PseudoOutcomes(np.stack([o.low for o in each]), np.stack([o.high for o in each]), each[0].slack)
    sequence = confidence_sequence(outcomes, looks=looks)
    assert held(sequence, truth) >= 0.95
    plain = confidence_sequence(ips_outcomes(reward, weights(pmf, target, action)), looks=looks)
    assert (sequence.high - sequence.low)[:, -1].mean() < (plain.high - plain.low)[:, -1].mean()


def test_wrong_propensities_break_the_sequences(adaptive):
    """Uniform propensities written down beside greedy choices: the bounds leave the truth in far more than 5 %."""
    reward, action, pmf, target, _, truth = adaptive
    flat = np.full_like(pmf, 1.0 / pmf.shape[2])
    assert held(confidence_sequence(ips_outcomes(reward, weights(flat, target, action))), truth) < 0.9


def test_a_normal_interval_does_not_survive_looking_at_it_often(adaptive):
    """Why the sequences are there: at 60 looks, the normal interval misses at least once in more than 15 % of logs."""
    reward, action, pmf, target, _, truth = adaptive
    weight = weights(pmf, target, action)
    looks = np.unique(np.geomspace(30, 1000, 60).astype(int))
    good = 0
    for r, w in zip(reward, weight, strict=True):
        good += all(truth in normal_interval(est.ips(r[:n], w[:n])) for n in looks)
    assert good / len(reward) < 0.85


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_confidence_sequences_hold_over_many_adaptive_logs(seed):
    """1,000 logs of 3,000 rounds by a greedier policy (epsilon .1: weights of up to 30)."""
    reward, action, pmf, target, q, truth = adaptive_logs(1000, 3000, seed=seed, epsilon=0.1)
    looks = np.unique(np.geomspace(1, 3000, 200).astype(int))
    sequence = confidence_sequence(ips_outcomes(reward, weights(pmf, target, action)), looks=looks)
    assert held(sequence, truth) >= 0.95
    each = [dr_outcomes(*row) for row in zip(reward, action, target, pmf, q, strict=True)]
    outcomes = PseudoOutcomes(np.stack([o.low for o in each]), np.stack([o.high for o in each]), each[0].slack)
    assert held(confidence_sequence(outcomes, looks=looks), truth) >= 0.95
