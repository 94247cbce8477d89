"""What a log refuses, and how it says so."""

import numpy as np
import pytest

from banditd_sim.ope import LogError, LoggedRounds, take, with_reward

GOOD = {
    "action": [0, 1, 1],
    "reward": [0.0, 1.0, 0.5],
    "propensity": [0.25, 0.5, 0.75],
    "model_ids": ["a", "b"],
    "pmf": [[0.25, 0.75], [0.5, 0.5], [0.25, 0.75]],
    "context": [[0.0], [1.0], [2.0]],
    "eligible": [[True, True]] * 3,
    "decision_ids": ["x", "y", "z"],
    "floor": 0.25,
}


def test_a_good_log_is_kept_as_it_is_and_cannot_be_written():
    """Types are those documented; views of the caller's arrays are read-only, the caller's own are not."""
    reward = np.array([0.0, 1.0, np.nan])
    log = LoggedRounds(**GOOD | {"reward": reward})
    assert (log.action.dtype, log.reward.dtype, log.context.dtype) == (np.int64, np.float64, np.float32)
    assert np.shares_memory(log.reward, reward)
    with pytest.raises(ValueError, match="read-only"):
        log.reward[0] = 2.0
    reward[0] = 0.5
    assert log.observed.tolist() == [True, True, False]


@pytest.mark.parametrize(
    "change,message,reason",
    [
        ({"propensity": [0.25, 0.0, 0.75]}, "propensity[1]: expected in (0, 1], got 0.0", "PROPENSITY_OUT_OF_RANGE"),
        ({"propensity": [0.25, 0.5, 1.5]}, "propensity[2]: expected in (0, 1], got 1.5", "PROPENSITY_OUT_OF_RANGE"),
        ({"propensity": [np.nan, 0.5, 0.75]}, "propensity[0]: expected in (0, 1], got nan", "PROPENSITY_OUT_OF_RANGE"),
        ({"propensity": [0.25, 0.5, 0.7]}, "propensity[2]: expected the pmf's entry", "PROPENSITY_MISMATCH"),
        ({"pmf": [[0.25, 0.75], [0.5, 0.6], [0.25, 0.75]]}, "pmf[1]: expected a sum of 1, got 1.1", "PMF_SUM"),
        ({"pmf": [[0.25, 0.75], [0.5, 0.5], [-0.1, 1.1]]}, "pmf[2]: expected entries in [0, 1]", "PMF_OUT_OF_RANGE"),
        ({"pmf": [[0.25, np.nan], [0.5, 0.5], [0.25, 0.75]]}, "pmf[0]: expected finite", "NOT_FINITE"),
        ({"pmf": [[0.25, 0.75]] * 2}, "pmf: expected 3 rows, as in action, got 2 rows", "WRONG_SHAPE"),
        ({"pmf": [[0.25, 0.25, 0.5]] * 3}, "pmf: expected 2 columns, one per model, got 3", "WRONG_SHAPE"),
        ({"eligible": [[True, True], [True, False], [True, True]]}, "action[1]: expected an elig", "INELIGIBLE_MODEL"),
        ({"eligible": [[False, True]] + [[True, True]] * 2, "action": [1, 1, 1], "propensity": [0.75, 0.5, 0.75]},
         "pmf[0]: expected 0 on ineligible models, got 0.25 on model 0", "PMF_INELIGIBLE"),
        ({"action": [0, 2, 1]}, "action[1]: expected 0..1, got 2", "UNKNOWN_MODEL"),
        ({"action": [0, -1, 1]}, "action[1]: expected 0..1, got -1", "UNKNOWN_MODEL"),
        ({"action": [0, 0.5, 1]}, "action[1]: expected whole numbers, got 0.5", "NOT_WHOLE"),
        ({"action": ["a", "b", "b"]}, "action: expected numbers castable to int64", "WRONG_TYPE"),
        ({"action": []}, "action: expected at least 1 round, got an empty log", "EMPTY_LOG"),
        ({"action": [[0, 1, 1]]}, "action: expected 1 dimension(s), got shape (1, 3)", "WRONG_SHAPE"),
        ({"reward": [0.0, 1.5, 0.0]}, "reward[1]: expected in [0.0, 1.0] or nan, got 1.5", "REWARD_OUT_OF_RANGE"),
        ({"reward": [0.0, np.inf, 0.0]}, "reward[1]: expected in [0.0, 1.0] or nan, got inf", "REWARD_OUT_OF_RANGE"),
        ({"reward": [np.nan] * 3}, "reward: expected at least one observed reward", "NO_REWARDS"),
        ({"reward": [0.0, 1.0]}, "reward: expected 3 rows, as in action, got 2 rows", "WRONG_SHAPE"),
        ({"reward_max": 0.0}, "reward_max: expected finite and above reward_min", "REWARD_RANGE"),
        ({"model_ids": ["a"]}, "model_ids: expected at least 2 models, got 1", "ONE_MODEL"),
        ({"model_ids": ["a", "a"]}, "model_ids: expected distinct names, got 'a' twice", "DUPLICATE_MODEL"),
        ({"decision_ids": ["x", "y", "x"]}, "decision_ids[2]: expected distinct ids, got 'x', already in row 0",
         "DUPLICATE_DECISION"),
        ({"decision_ids": ["x"]}, "decision_ids: expected 3 ids, as in action, got 1 ids", "WRONG_SHAPE"),
        ({"context": [[0.0], [np.nan], [2.0]]}, "context[1]: expected finite numbers", "NOT_FINITE"),
        ({"cost": [0.0, -1.0, 0.0]}, "cost[1]: expected finite and >= 0, or nan, got -1.0", "COST_OUT_OF_RANGE"),
        ({"floor": 0.3}, "propensity[0]: expected at least the floor, 0.3, got 0.25", "BELOW_FLOOR"),
        ({"floor": 0.0}, "floor: expected in (0, 1/2], got 0.0", "FLOOR_OUT_OF_RANGE"),
    ],
)  # fmt: skip
def test_a_bad_log_is_refused_by_field_and_row(change, message, reason):
    """The message names the place, what was expected and what was found; the reason is machine-readable."""
    with pytest.raises(LogError) as caught:
        LoggedRounds(**GOOD | change)
    assert str(caught.value).startswith(message)
    assert caught.value.reason == reason


def test_a_part_of_a_log_keeps_all_its_columns():
    """Rows are taken from every array, and the ids with them."""
    log = take(LoggedRounds(**GOOD, cost=[1.0, 2.0, 3.0], category=[5, 6, 7]), np.array([2, 0]))
    assert log.action.tolist() == [1, 0]
    assert log.cost.tolist() == [3.0, 1.0]
    assert log.category.tolist() == [7, 5]
    assert list(log.decision_ids) == ["z", "x"]


def test_another_reward_can_be_evaluated():
    """Cost, for instance, in its own range."""
    log = with_reward(LoggedRounds(**GOOD), np.array([3.0, 0.0, 7.0]), reward_min=0.0, reward_max=10.0)
    assert log.reward.tolist() == [3.0, 0.0, 7.0]
