"""Replay of logs by rejection is unbiased, also where the log was not uniform."""

import numpy as np
import pytest

from banditd_sim.environments.errors import SimError
from banditd_sim.environments.logged import LoggedWorld
from banditd_sim.ope import LoggedRounds


class Fixed:
    """Chooses by a fixed distribution and counts what it is shown."""

    def __init__(self, pmf):
        self.cdf = np.cumsum(pmf)
        self.learnt = 0

    def choose(self, t, eligible, uniform):
        return int(np.searchsorted(self.cdf, uniform, side="right"))

    def learn(self, t, model, reward):
        self.learnt += 1


def make_log(n, propensity, seed=0):
    """Two models with mean rewards 0.9 and 0.1, the first logged with *propensity*."""
    rng = np.random.default_rng(seed)
    action = (rng.random(n) >= propensity).astype(int)
    reward = (rng.random(n) < np.where(action == 0, 0.9, 0.1)).astype(float)
    return LoggedRounds(action, reward, np.where(action == 0, propensity, 1 - propensity), ("a", "b"))


@pytest.mark.parametrize("propensity", [0.5, 0.9, 0.2])
def test_an_even_policy_is_worth_a_half_whatever_logged(propensity):
    """The truth is 0.5; a rule that forgets to thin gives 0.82 for a log of 90 : 10."""
    player = Fixed([0.5, 0.5])
    accepted = LoggedWorld(make_log(40_000, propensity), seed=1).play(player)
    error = np.sqrt(0.25 / len(accepted.reward))
    assert accepted.mean == pytest.approx(0.5, abs=4 * error)
    assert player.learnt == len(accepted.rounds)


def test_the_bound_decides_how_many_rounds_are_offered():
    """90 : 10 with a bound of 0.1: a ninth of the first's rounds and all of the second's, 20 % in all."""
    accepted = LoggedWorld(make_log(40_000, 0.9), seed=1).play(Fixed([1.0, 0.0]))
    assert accepted.offered_count / 40_000 == pytest.approx(0.2, abs=0.01)
    assert accepted.mean == pytest.approx(0.9, abs=0.02)


def test_nothing_is_kept_of_a_policy_that_the_log_never_follows():
    """A clear refusal."""
    log = LoggedRounds([0, 0, 0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], ("a", "b"))
    with pytest.raises(SimError, match="agree"):
        LoggedWorld(log, 0).play(Fixed([0.0, 1.0]))


def test_censored_rewards_are_refused():
    """Rejection has no word for them."""
    with pytest.raises(SimError, match="observed"):
        LoggedWorld(LoggedRounds([0, 1], [1.0, np.nan], [0.5, 0.5], ("a", "b")), 0)
