"""Intervals and sequences: hand-worked values, and how they behave with more data, levels and refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from banditd_sim.ope import (
    LogError,
    StreamingSequence,
    SupportError,
    bootstrap_interval,
    confidence_sequence,
    dr_outcomes,
    empirical_bernstein_interval,
    ips_outcomes,
    normal_interval,
    running,
    skew_corrected_interval,
    standard_error,
)
from banditd_sim.ope import estimators as est
from banditd_sim.ope.intervals import BOOTSTRAP_UNITS_MAX, bootstrap_intervals
from banditd_sim.ope.terms import RoundTerms

seeds = st.integers(0, 2**32 - 1)


def rounds(seed, n=300):
    """Return reward and weight of n rounds."""
    rng = np.random.default_rng(seed)
    return rng.random(n), rng.exponential(size=n)


def test_hand_worked_intervals():
    """Terms 1, 2, 3, 4: mean 2.5, s^2 = 5/3."""
    terms = RoundTerms(addend=np.array([1.0, 2.0, 3.0, 4.0]), numerator=None)
    error = math.sqrt(5.0 / 3.0 / 4.0)
    assert standard_error(terms) == pytest.approx(error)
    normal = normal_interval(terms)
    assert (normal.low, normal.high) == pytest.approx((2.5 - 1.959963985 * error, 2.5 + 1.959963985 * error))
    half = math.sqrt(2.0 * 5.0 / 3.0 * math.log(80.0) / 4.0) + 7.0 * 4.0 * math.log(80.0) / 9.0
    bernstein = empirical_bernstein_interval(terms, term_min=0.0, term_max=4.0)
    assert (bernstein.low, bernstein.high) == pytest.approx((2.5 - half, 2.5 + half))


def test_the_skew_corrected_interval_by_hand():
    """Ends solve Hall's cubic at Student's quantiles; without skewness and tails it is the normal interval."""
    values = np.array([0.0] * 90 + [1.0] * 10)
    interval = skew_corrected_interval(RoundTerms(addend=values, numerator=None))
    error = math.sqrt(0.09 * 100.0 / 99.0 / 100.0)
    # A share p of ones has skewness (1 - 2 p) / s and excess kurtosis (1 - 6 p (1 - p)) / (p (1 - p)).
    a = 0.8 / 0.3 / 10.0
    degrees = 2.0 / (2.0 / 99.0 + 0.46 / 0.09 / 100.0)
    for end, q in ((interval.low, stats.t.ppf(0.975, degrees)), (interval.high, stats.t.ppf(0.025, degrees))):
        t = (0.1 - end) / error
        assert t + a * t**2 / 3.0 + a**2 * t**3 / 27.0 + a / 6.0 == pytest.approx(q)
    even = RoundTerms(addend=np.tile([0.0, 1.0], 50_000), numerator=None)
    plain, corrected = normal_interval(even), skew_corrected_interval(even)
    assert (corrected.low, corrected.high) == pytest.approx((plain.low, plain.high), abs=1e-6)
    assert skew_corrected_interval(RoundTerms(addend=np.ones(5), numerator=None)).width == 0.0


def test_ratio_error_by_hand():
    """Sum(a) / sum(b) = 6 / 4 with a = (1, 2, 3), b = (1, 1, 2): residuals -.5, .5, 0."""
    terms = RoundTerms(addend=None, numerator=np.array([1.0, 2.0, 3.0]), denominator=np.array([1.0, 1.0, 2.0]))
    # s^2 of the residuals is .25; the mean of b is 4/3.
    assert standard_error(terms) == pytest.approx(math.sqrt(0.25 / 3.0) / (4.0 / 3.0))


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_a_higher_level_is_not_narrower(seed):
    """For every interval: alpha .01 contains alpha .2."""
    reward, weight = rounds(seed, 60)
    terms = est.ips(reward, weight)
    bound = float(weight.max())
    for make in (
        lambda a: normal_interval(terms, alpha=a),
        lambda a: skew_corrected_interval(terms, alpha=a),
        lambda a: bootstrap_interval(terms, alpha=a, resamples=200, seed=1),
        lambda a: empirical_bernstein_interval(terms, term_min=0.0, term_max=bound, alpha=a),
    ):
        wide, narrow = make(0.01), make(0.2)
        assert wide.low <= narrow.low <= narrow.high <= wide.high
    wide, narrow = (confidence_sequence(ips_outcomes(reward, weight), alpha=a) for a in (0.01, 0.2))
    assert (wide.low <= narrow.low).all()
    assert (wide.high >= narrow.high).all()


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_the_same_rounds_twice_are_not_wider(seed):
    """Doubling the data cannot widen an interval at a fixed level."""
    reward, weight = rounds(seed, 40)
    once, twice = est.ips(reward, weight), est.ips(np.tile(reward, 2), np.tile(weight, 2))
    bound = float(weight.max())
    assert normal_interval(twice).width <= normal_interval(once).width + 1e-12
    bernstein = [empirical_bernstein_interval(t, term_min=0.0, term_max=bound).width for t in (once, twice)]
    assert bernstein[1] <= bernstein[0]
    late = running(confidence_sequence(ips_outcomes(np.tile(reward, 2), np.tile(weight, 2))))
    assert late.high[-1] - late.low[-1] <= late.high[39] - late.low[39]


def test_rewards_of_one_are_covered_by_every_interval():
    """And so are rewards that are all the greatest of another range."""
    _, weight = rounds(0, 500)
    ones = np.ones(500)
    assert 1.0 in normal_interval(est.ips(ones, weight))
    assert 1.0 in bootstrap_interval(est.ips(ones, weight))
    assert 1.0 in empirical_bernstein_interval(est.ips(ones, weight), term_min=0.0, term_max=20.0)
    sequence = confidence_sequence(ips_outcomes(ones, weight))
    assert (sequence.high == 1.0).all()
    snips = normal_interval(est.snips(10.0 * ones, weight))
    assert (snips.low, snips.high) == pytest.approx((10.0, 10.0))


@pytest.mark.parametrize("n", [400, 3 * BOOTSTRAP_UNITS_MAX])
def test_bootstrap_widths_agree_with_the_delta_method(n):
    """For a ratio as for a mean, within 10 %, with rounds and with groups of rounds as units."""
    reward, weight = rounds(2, n)
    for terms in (est.ips(reward, weight), est.snips(reward, weight)):
        interval = bootstrap_interval(terms, resamples=2000, seed=3)
        assert interval.width == pytest.approx(2.0 * 1.96 * standard_error(terms), rel=0.1)


def test_a_bootstrap_with_a_fixed_denominator_would_be_wrong():
    """The width that such a bootstrap gives for snips is more than twice as wide on a log with good rewards."""
    reward, weight = rounds(2, 400)
    reward = 0.8 + 0.2 * reward
    right = bootstrap_interval(est.snips(reward, weight), seed=3).width
    wrong = bootstrap_interval(est.ips(reward, weight / weight.mean()), seed=3).width
    assert wrong > 2.0 * right


def test_bootstraps_are_repeatable_and_shared():
    """The same seed gives the same ends, alone or among others; another seed gives others."""
    reward, weight = rounds(5)
    ips, snips = est.ips(reward, weight), est.snips(reward, weight)
    alone = bootstrap_interval(snips, seed=9)
    together = bootstrap_intervals([ips, snips], seed=9)[1]
    assert (alone.low, alone.high) == pytest.approx((together.low, together.high), rel=1e-12)
    assert bootstrap_interval(snips, seed=9) == alone
    assert bootstrap_interval(snips, seed=10) != alone


@settings(deadline=None)  # the machine may be busy
@given(seeds, st.floats(0.0, 3.0))
def test_streaming_equals_batch(seed, slack):
    """Round by round and all at once, bit for bit in the sums, at every round."""
    rng = np.random.default_rng(seed)
    n, models = 30, 3
    logging, target = rng.dirichlet(np.ones(models), n) * 0.7 + 0.1, rng.dirichlet(np.ones(models), n)
    outcomes = dr_outcomes(
        rng.random(n), rng.integers(0, models, n), target, logging, rng.random((n, models)), slack=slack
    )
    batch = confidence_sequence(outcomes)
    stream = StreamingSequence(slack=slack)
    for t, (low, high) in enumerate(zip(outcomes.low.tolist(), outcomes.high.tolist(), strict=True)):
        stream.add(low, high)
        assert stream.bounds() == pytest.approx((batch.low[t], batch.high[t]), abs=1e-12)


def test_looks_do_not_change_the_bounds():
    """A bound depends on the rounds so far, not on when one looks."""
    outcomes = ips_outcomes(*rounds(1))
    every = confidence_sequence(outcomes)
    some = confidence_sequence(outcomes, looks=[7, 100, 300])
    assert some.low == pytest.approx(every.low[[6, 99, 299]])
    assert some.high == pytest.approx(every.high[[6, 99, 299]])


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_dr_outcomes_have_the_mean_and_the_bound_they_promise(seed):
    """Averaged exactly over the logged pmf, low has the target's value as its mean and never falls below -slack."""
    rng = np.random.default_rng(seed)
    models, slack = 4, float(rng.uniform(0.0, 3.0))
    logging = rng.dirichlet(np.ones(models), 1) * 0.9 + 0.1 / models
    target = rng.dirichlet(np.full(models, 0.5), 1)
    q, reward = rng.random((1, models)), rng.random(models)
    lows, highs = [], []
    for k in range(models):
        outcome = dr_outcomes(reward[k : k + 1], np.array([k]), target, logging, q, slack=slack)
        lows.append(outcome.low[0])
        highs.append(outcome.high[0])
    assert min(lows + highs) >= -slack - 1e-9
    assert logging[0] @ lows == pytest.approx(target[0] @ reward)
    assert logging[0] @ highs == pytest.approx(target[0] @ (1.0 - reward))


def test_no_slack_makes_dr_outcomes_those_of_ips():
    """Then the reward model is cut to nothing."""
    rng = np.random.default_rng(0)
    n = 20
    logging, target = rng.dirichlet(np.ones(3), n), rng.dirichlet(np.ones(3), n)
    action, reward = rng.integers(0, 3, n), rng.random(n)
    weight = target[np.arange(n), action] / logging[np.arange(n), action]
    outcomes = dr_outcomes(reward, action, target, logging, rng.random((n, 3)), slack=0.0)
    assert outcomes.low == pytest.approx(ips_outcomes(reward, weight).low)


def test_refusals():
    """Ratios, single rounds, ranges that terms leave, and parameters out of range."""
    reward, weight = rounds(0, 10)
    snips, ips = est.snips(reward, weight), est.ips(reward, weight)
    with pytest.raises(SupportError, match="got a ratio"):
        empirical_bernstein_interval(snips, term_min=0.0, term_max=10.0)
    with pytest.raises(LogError, match="term: expected in"):
        empirical_bernstein_interval(ips, term_min=0.0, term_max=0.1)
    with pytest.raises(SupportError, match="at least 2 rounds"):
        normal_interval(est.ips(reward[:1], weight[:1]))
    with pytest.raises(LogError, match="resamples: expected at least 20, got 10"):
        bootstrap_interval(ips, resamples=10)
    for alpha in (0.0, 1.0, math.nan):
        with pytest.raises(LogError, match="alpha"):
            normal_interval(ips, alpha=alpha)
    for looks in ([0], [11], [5, 5], []):
        with pytest.raises(LogError, match="looks"):
            confidence_sequence(ips_outcomes(reward, weight), looks=looks)
    with pytest.raises(LogError, match="pseudo-outcome: expected >= 0"):
        confidence_sequence(ips_outcomes(reward - 2.0, weight))
    with pytest.raises(LogError, match="pseudo-outcome"):
        StreamingSequence().add(math.nan, 0.0)
