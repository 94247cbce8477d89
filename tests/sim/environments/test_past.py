"""A log as a history: one model's outcome per round, learnt before the first decision."""

import numpy as np
import pytest

from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.past import check_log, teach_log
from banditd_sim.environments.replay import LearningRouter, replay
from banditd_sim.environments.router import RouterPolicy
from banditd_sim.environments.scenario import Scenario
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World
from banditd_sim.ope import LoggedRounds

from .worlds import NONE, flat

TABLE = flat(60, [0.2, 0.9], [1e-4, 2e-4])


def router_on(table):
    """Return arena, world and a nearly greedy router."""
    arena, rows = arena_of(table), np.arange(len(table))
    laid = timeline(Scenario(), arena, rows)
    router = LearningRouter(arena, laid, RouterPolicy("linucb", {"alpha": 0.0}), None, 1)
    return arena, World(arena, laid, NONE, rows, 1), router


def logged(**changes):
    """Return 40 rounds in which m1 got 90 of 100 points, m0 20, and a stranger all; one reward is missing."""
    action = np.arange(40) % 3
    reward = np.array([20.0, 90.0, 100.0])[action]
    reward[0] = np.nan
    columns = {
        "context": np.tile(TABLE.embeddings.astype(np.float32)[:20], (2, 1)),
        "cost": np.array([1e-4, 2e-4, 3e-4])[action],
        "reward_min": 0.0,
        "reward_max": 100.0,
    }
    return LoggedRounds(action, reward, np.full(40, 1 / 3), ("m0", "m1", "stranger"), **(columns | changes))


def test_a_router_begins_with_what_was_logged():
    """It chooses the better model from the first round on; without the log it has to find out."""
    arena, world, router = router_on(TABLE)
    teach_log(router, arena, logged())
    # 27 rounds of the two known models; of the one without a reward the cost is learnt.
    assert router.engine.router.example_count == 27
    assert (replay(world, router).model == 1).mean() > 0.95
    assert router.engine.router.decision_count == 60


def test_rewards_are_scaled_and_models_go_by_name():
    """A log with its models the other way round teaches the same."""
    expected = []
    for log in (logged(), logged_backwards()):
        arena, world, router = router_on(TABLE)
        teach_log(router, arena, log)
        expected.append(replay(world, router).propensity)
    assert np.array_equal(*expected)


def logged_backwards():
    """Return the same log with columns in another order."""
    log = logged()
    names = ("stranger", "m1", "m0")
    return LoggedRounds(
        2 - log.action, log.reward, log.propensity, names, log.context, cost=log.cost, reward_min=0.0, reward_max=100.0
    )


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"context": None}, "contexts of 4 values"),
        ({"context": np.zeros((40, 3))}, "contexts of 4 values, as hand has"),
    ],
)
def test_a_log_with_other_contexts_is_refused(changes, said):
    """Which a router of this data could not read."""
    with pytest.raises(SimError, match=said):
        check_log(logged(**changes), arena_of(TABLE))


def test_a_log_of_other_models_is_refused():
    """It teaches nothing."""
    log = logged()
    with pytest.raises(SimError, match="models of hand"):
        check_log(
            LoggedRounds(log.action, log.reward, log.propensity, ("x", "y", "z"), log.context, reward_max=100.0),
            arena_of(TABLE),
        )
