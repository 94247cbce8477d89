"""The estimators: hand-worked tables and the identities between them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banditd_sim.ope import LoggedRounds, SupportError, estimate, round_values, weighted
from banditd_sim.ope import estimators as est

# Four rounds over two models, logged at 1/2, 1/4, 1/2, 3/4; the target plays the drawn model with 1, 1/2, 0, 3/4.
REWARD = np.array([1.0, 0.0, 1.0, 0.5])
WEIGHT = np.array([2.0, 2.0, 0.0, 1.0])
Q_DRAWN = np.array([0.5, 0.5, 0.5, 0.5])
MODEL_VALUE = np.array([0.5, 0.25, 0.75, 0.5])
MODELLED = (REWARD, WEIGHT, Q_DRAWN, MODEL_VALUE)


@pytest.mark.parametrize(
    "terms,value",
    [
        (est.dm(MODEL_VALUE), 2.0 / 4),
        (est.ips(REWARD, WEIGHT), (2.0 + 0.0 + 0.0 + 0.5) / 4),
        (est.clipped_ips(REWARD, WEIGHT, weight_max=1.5), (1.5 + 0.0 + 0.0 + 0.5) / 4),
        (est.snips(REWARD, WEIGHT), 2.5 / 5.0),
        # residuals 0.5, -0.5, 0.5, 0: w e = 1, -1, 0, 0
        (est.dr(*MODELLED), 2.0 / 4),
        (est.sndr(*MODELLED), 0.5 + 0.0 / 5.0),
        (est.switch_dr(*MODELLED, weight_max=1.0), 2.0 / 4),
        # The bound itself is kept: with a model of nothing, 2 and 0 come on top of .5; below it they do not.
        (est.switch_dr(REWARD, WEIGHT, np.zeros(4), MODEL_VALUE, weight_max=2.0), 0.5 + 2.5 / 4),
        (est.switch_dr(REWARD, WEIGHT, np.zeros(4), MODEL_VALUE, weight_max=1.9), 0.5 + 0.5 / 4),
        # s = 4: 2 -> 4 * 2 / (4 + 4) = 1, so w e = 0.5, -0.5
        (est.dr_os(*MODELLED, shrinkage=4.0), 2.0 / 4),
        # m = 1/2: 2 -> 2 / 1.5, 1 -> 1
        (est.sub_gaussian_ips(REWARD, WEIGHT, mixing=0.5), (2.0 / 1.5 + 0.5) / 4),
    ],
)
def test_hand_worked_table(terms, value):
    """Four rounds, worked on paper."""
    assert estimate(terms) == pytest.approx(value, abs=1e-15)


def small_log(seed, *, uniform=False):
    """Return a random log, target, q and weights, from a seed."""
    rng = np.random.default_rng(seed)
    n, models = int(rng.integers(2, 60)), int(rng.integers(2, 6))
    pmf = np.full((n, models), 1.0 / models) if uniform else rng.dirichlet(np.ones(models), n) * 0.9 + 0.1 / models
    action = np.array([rng.choice(models, p=p / p.sum()) for p in pmf])
    log = LoggedRounds(
        action=action,
        reward=rng.random(n),
        propensity=pmf[np.arange(n), action],
        model_ids=[str(k) for k in range(models)],
        pmf=pmf,
    )
    target = rng.dirichlet(np.ones(models), n)
    return log, target, rng.random((n, models)), weighted(log, target)


seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_the_logging_policy_as_target_has_weights_of_one(seed):
    """Then ips and snips are the mean reward."""
    log, _, _, _ = small_log(seed)
    weights = weighted(log, log.pmf)
    assert weights.weight == pytest.approx(1.0)
    for terms in (est.ips(weights.reward, weights.weight), est.snips(weights.reward, weights.weight)):
        assert estimate(terms) == pytest.approx(log.reward.mean())


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_a_reward_model_of_zero_makes_dr_ips(seed):
    """And sndr snips, switch-dr a cut ips, and so on."""
    log, _, _, w = small_log(seed)
    zero = np.zeros(len(log))
    assert estimate(est.dr(w.reward, w.weight, zero, zero)) == pytest.approx(estimate(est.ips(w.reward, w.weight)))
    assert estimate(est.sndr(w.reward, w.weight, zero, zero)) == pytest.approx(estimate(est.snips(w.reward, w.weight)))


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_an_exact_reward_model_makes_every_doubly_robust_estimate_the_truth(seed):
    """Without noise: dm, dr, sndr, switch-dr and dr-os all equal the target's value on these prompts."""
    log, target, q, _ = small_log(seed)
    rows = np.arange(len(log))
    drawn, value = q[rows, log.action], (target * q).sum(axis=1)
    weight = target[rows, log.action] / log.propensity
    arrays = (drawn, weight, drawn, value)
    for terms in (
        est.dm(value),
        est.dr(*arrays),
        est.sndr(*arrays),
        est.switch_dr(*arrays, weight_max=1.0),
        est.dr_os(*arrays, shrinkage=2.0),
        est.sub_gaussian_dr(*arrays, mixing=0.3),
    ):
        assert estimate(terms) == pytest.approx(value.mean())


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_parameters_at_their_ends_give_the_plain_estimators(seed):
    """Infinite clip, switch and shrinkage: ips and dr. None at all: the direct method."""
    log, target, q, w = small_log(seed)
    arrays = (w.reward, w.weight, q[np.arange(len(log)), log.action], (target * q).sum(axis=1))
    ips, dr, dm = est.ips(w.reward, w.weight), est.dr(*arrays), est.dm(arrays[3])
    assert estimate(est.clipped_ips(w.reward, w.weight, weight_max=math.inf)) == estimate(ips)
    assert estimate(est.sub_gaussian_ips(w.reward, w.weight, mixing=0.0)) == pytest.approx(estimate(ips))
    assert estimate(est.switch_dr(*arrays, weight_max=math.inf)) == pytest.approx(estimate(dr))
    assert estimate(est.dr_os(*arrays, shrinkage=math.inf)) == pytest.approx(estimate(dr))
    assert estimate(est.dr_os(*arrays, shrinkage=1e12)) == pytest.approx(estimate(dr), rel=1e-6)
    assert estimate(est.switch_dr(*arrays, weight_max=0.0)) == pytest.approx(estimate(dm))
    assert estimate(est.dr_os(*arrays, shrinkage=0.0)) == pytest.approx(estimate(dm))


@settings(deadline=None)  # the machine may be busy
@given(seeds, st.floats(-3.0, 3.0))
def test_snips_stays_in_the_range_of_rewards_and_moves_with_them(seed, shift):
    """Within [min r, max r]; r + c gives the estimate + c."""
    _, _, _, w = small_log(seed)
    plain = estimate(est.snips(w.reward, w.weight))
    played = w.reward[w.weight > 0.0]
    assert played.min() - 1e-12 <= plain <= played.max() + 1e-12
    assert estimate(est.snips(w.reward + shift, w.weight)) == pytest.approx(plain + shift, abs=1e-9)


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_rewards_of_one_give_an_estimate_of_one_where_weights_are_normalised(seed):
    """Exactly for snips; for dr with any model that knows it."""
    _, _, _, w = small_log(seed)
    ones = np.ones_like(w.reward)
    assert estimate(est.snips(ones, w.weight)) == pytest.approx(1.0)
    assert estimate(est.dr(ones, w.weight, ones, ones)) == pytest.approx(1.0)


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_round_values_average_to_the_estimate(seed):
    """For ratios as for means: every interval is centred on the estimate."""
    log, target, q, w = small_log(seed)
    arrays = (w.reward, w.weight, q[np.arange(len(log)), log.action], (target * q).sum(axis=1))
    for terms in (est.ips(w.reward, w.weight), est.snips(w.reward, w.weight), est.dr(*arrays), est.sndr(*arrays)):
        assert round_values(terms).mean() == pytest.approx(estimate(terms), abs=1e-12)


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_halves_merge_to_the_whole(seed):
    """The mean of the halves' terms, weighted by their lengths, is the whole's."""
    _, _, _, w = small_log(seed)
    half = w.reward.size // 2
    terms = est.ips(w.reward, w.weight).numerator
    merged = (terms[:half].sum() + terms[half:].sum()) / terms.size
    assert merged == pytest.approx(estimate(est.ips(w.reward, w.weight)))


def test_rejection_sampling_is_unbiased_where_the_naive_rule_is_not():
    """Two models logged .9 / .1, rewards 0 and 1, a uniform target: the truth is .5; accepting min(1, w) gives .36."""
    rng = np.random.default_rng(3)
    n = 200_000
    action = (rng.random(n) < 0.1).astype(int)
    propensity = np.where(action == 1, 0.1, 0.9)
    reward, weight = action.astype(float), 0.5 / propensity
    terms = est.rejection_sampling(reward, weight, weight_bound=5.0, seed=1)
    accepted = terms.denominator.sum()
    error = 0.5 / math.sqrt(accepted)
    assert abs(estimate(terms) - 0.5) < 4.0 * error
    naive = rng.random(n) < np.minimum(1.0, weight)
    assert abs(reward[naive].mean() - 0.5) > 20.0 * error


def test_rejection_sampling_refuses_a_bound_that_weights_exceed():
    """Otherwise it would be biased without a word."""
    with pytest.raises(SupportError) as caught:
        est.rejection_sampling(REWARD, WEIGHT, weight_bound=1.5, seed=0)
    assert caught.value.reason == "WEIGHT_ABOVE_BOUND"


def test_replay_refuses_what_it_is_biased_on():
    """A log that is not uniform, a target that is not deterministic, and no match at all."""
    half, two = np.full(4, 0.5), np.full(4, 2.0)
    played = np.array([1.0, 0.0, 1.0, 0.0])
    assert estimate(est.replay(REWARD, played, half, two)) == 1.0
    for target, propensity, reason in (
        (played, np.array([0.5, 0.5, 0.5, 0.4]), "NOT_UNIFORM"),
        (np.array([1.0, 0.5, 0.0, 0.0]), half, "NOT_DETERMINISTIC"),
        (np.zeros(4), half, "NO_MATCH"),
    ):
        with pytest.raises(SupportError) as caught:
            est.replay(REWARD, target, propensity, two)
        assert caught.value.reason == reason


@settings(deadline=None)  # the machine may be busy
@given(seeds)
def test_replay_is_snips_on_a_uniform_log(seed):
    """With a deterministic target both are the mean reward of the matching rounds."""
    log, _, _, _ = small_log(seed, uniform=True)
    target = np.eye(log.models_count)[np.arange(len(log)) % log.models_count]
    w = weighted(log, target)
    if w.weight.any():
        count = np.full(len(log), float(log.models_count))
        replayed = est.replay(w.reward, w.target_drawn, log.propensity, count)
        assert estimate(replayed) == pytest.approx(estimate(est.snips(w.reward, w.weight)))
