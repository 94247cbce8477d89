"""The shipped router at logs: it is shown what was chosen only, and learns who is better."""

import numpy as np
import pytest

from banditd_sim.environments.errors import SimError
from banditd_sim.environments.logged import LoggedWorld
from banditd_sim.environments.players import LogRouter
from banditd_sim.environments.router import RouterPolicy
from banditd_sim.ope import LoggedRounds


def uniform_log(n=6000, seed=0, **changes):
    """Return a uniform log of two models, each the better one for half of the contexts."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4)).astype(np.float32)
    action = rng.integers(0, 2, n)
    mean = np.where((x[:, 0] > 0.0) == (action == 0), 0.8, 0.2)
    reward = (rng.random(n) < mean).astype(float)
    return LoggedRounds(action, reward, np.full(n, 0.5), ("a", "b"), x, **changes)


def test_a_router_learns_from_the_rounds_that_are_kept():
    """Half of a uniform log of two models; a policy that never learns gets 0.5, one that knows all 0.8."""
    log = uniform_log()
    player = LogRouter(log, RouterPolicy("linucb"), 3)
    accepted = LoggedWorld(log, 3).play(player)
    assert len(accepted.rounds) == pytest.approx(3000, abs=150)
    assert len(player.engine.log.decisions()) == accepted.offered_count == 6000
    assert accepted.reward[-1000:].mean() > 0.7


def test_only_eligible_models_are_chosen_from_a_log():
    """As the log has them, with indices of the log."""
    eligible = np.tile([False, True], (50, 1))
    rng = np.random.default_rng(0)
    log = LoggedRounds([1] * 50, [1.0] * 50, [1.0] * 50, ("a", "b"), rng.random((50, 4)), eligible=eligible)
    assert len(LoggedWorld(log, 0).play(LogRouter(log, RouterPolicy("linucb"), 0)).rounds) == 50


def test_a_log_without_contexts_cannot_be_replayed_by_a_router():
    """There is nothing to choose by."""
    with pytest.raises(SimError, match="contexts"):
        LogRouter(LoggedRounds([0, 1], [1.0, 0.0], [0.5, 0.5], ("a", "b")), RouterPolicy("linucb"), 0)
