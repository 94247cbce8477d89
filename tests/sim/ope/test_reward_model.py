"""Reward models: closed form against a direct solution, folds and order against leaks."""

import numpy as np
import pytest

from banditd_sim.ope import (
    LogError,
    LoggedRounds,
    OpeError,
    cross_fitted_boosting,
    cross_fitted_ridge,
    direct_values,
    predictable_ridge,
)
from banditd_sim.ope.products import apply_rows, combine, inner
from banditd_sim.ope.reward_model import fold_of_round

from .worlds import draw, make_world


def some_log(n=400, seed=0):
    """One log of a world with four models."""
    return draw(make_world(0), n, np.random.default_rng(seed))[0]


def test_ridge_equals_a_direct_solution():
    """Per fold, by augmented least squares written from the objective."""
    log = some_log()
    q = cross_fitted_ridge(log, folds=4, seed=3, shrinkage=7.0, shared_shrinkage=2.0)
    fold = fold_of_round(400, folds=4, seed=3)
    z = np.column_stack([np.ones(400), log.context.astype(float)])
    for f in range(4):
        train = fold != f
        scale = (z[train] ** 2).mean(axis=0)
        penalty = np.sqrt(2.0 * scale) * (np.arange(z.shape[1]) > 0)
        shared = np.linalg.lstsq(
            np.vstack([z[train], np.diag(penalty)]), np.concatenate([log.reward[train], np.zeros(5)])
        )[0]
        for k in range(4):
            rows = train & (log.action == k)
            pull = np.sqrt(7.0 * scale)
            theta = np.linalg.lstsq(
                np.vstack([z[rows], np.diag(pull)]), np.concatenate([log.reward[rows], pull * shared])
            )[0]
            expected = np.clip(z[fold == f] @ theta, 0.0, 1.0)
            assert q[fold == f, k] == pytest.approx(expected, abs=1e-9)


def test_a_round_never_sees_its_own_reward():
    """Changing one reward leaves that round's predictions alone, and changes others'."""
    log = some_log()
    reward = log.reward.copy()
    reward[17] = 1.0 - reward[17]
    other = LoggedRounds(log.action, reward, log.propensity, log.model_ids, context=log.context, pmf=log.pmf)
    before, after = cross_fitted_ridge(log), cross_fitted_ridge(other)
    assert (before[17] == after[17]).all()
    assert (before != after).any()


def test_the_predictable_model_knows_the_past_only():
    """Changing round 200's reward changes nothing up to and including round 200, and something after."""
    log = some_log()
    reward = log.reward.copy()
    reward[200] = 1.0 - reward[200]
    other = LoggedRounds(log.action, reward, log.propensity, log.model_ids, context=log.context, pmf=log.pmf)
    before, after = predictable_ridge(log), predictable_ridge(other)
    assert (before[:201] == after[:201]).all()
    assert (before[201:] != after[201:]).any()
    assert (before[:50] == 0.5).all()


def test_unobserved_rewards_are_left_out():
    """A nan neither spreads nor counts."""
    log = some_log()
    reward = log.reward.copy()
    reward[::3] = np.nan
    gaps = LoggedRounds(log.action, reward, log.propensity, log.model_ids, context=log.context)
    assert np.isfinite(cross_fitted_ridge(gaps)).all()
    assert np.isfinite(predictable_ridge(gaps)).all()


def test_without_a_context_it_is_the_models_means():
    """Nearly, for models that were seen often."""
    log = some_log(4000)
    bare = LoggedRounds(log.action, log.reward, log.propensity, log.model_ids)
    q = cross_fitted_ridge(bare)
    means = [log.reward[log.action == k].mean() for k in range(4)]
    assert q.mean(axis=0) == pytest.approx(means, abs=0.02)


def test_a_model_never_seen_gets_the_shared_model():
    """Shrinkage all the way: no nan, no zero."""
    log = some_log()
    wide = LoggedRounds(log.action, log.reward, log.propensity, [*log.model_ids, "new"], context=log.context)
    q = cross_fitted_ridge(wide)
    assert np.isfinite(q).all()
    assert q[:, 4].mean() == pytest.approx(log.reward.mean(), abs=0.1)


def test_degenerate_logs_have_a_model_too():
    """Two rounds, a feature that is always 0, features that repeat each other."""
    two = LoggedRounds([0, 1], [0.0, 1.0], [0.5, 0.5], ["a", "b"], context=[[0.0], [0.0]])
    assert np.isfinite(cross_fitted_ridge(two)).all()
    log = some_log()
    doubled = np.column_stack([log.context, log.context, np.zeros(400, np.float32)])
    twice = LoggedRounds(log.action, log.reward, log.propensity, log.model_ids, context=doubled)
    assert np.isfinite(cross_fitted_ridge(twice)).all()
    with pytest.raises(LogError, match="folds: expected at least 2"):
        cross_fitted_ridge(log, folds=1)


def test_folds_are_even_and_fixed_by_the_seed():
    """Sizes differ by at most one."""
    fold = fold_of_round(103, folds=5, seed=1)
    assert sorted(np.bincount(fold).tolist()) == [20, 20, 21, 21, 21]
    assert (fold == fold_of_round(103, folds=5, seed=1)).all()
    assert (fold != fold_of_round(103, folds=5, seed=2)).any()


def test_direct_values_by_hand():
    """(.25, .75) on (1, 0) and (0, 1) on (.5, .2)."""
    q, target = np.array([[1.0, 0.0], [0.5, 0.2]]), np.array([[0.25, 0.75], [0.0, 1.0]])
    assert direct_values(q, target).tolist() == [0.25, 0.2]


@pytest.mark.parametrize("rows", [1, 57, 240, 1000])
def test_products_in_pieces_equal_products(rows):
    """Whatever the number of rows leaves over."""
    rng = np.random.default_rng(0)
    a, b, c = rng.random((rows, 33)), rng.random((rows, 40)), rng.random((33, 10))
    assert inner(a, b) == pytest.approx(a.T @ b)
    assert combine(b.T, a) == pytest.approx(b.T @ a)
    assert apply_rows(a, c) == pytest.approx(a @ c)


def test_boosting_names_its_extra_where_it_is_missing(monkeypatch):
    """A message that says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(OpeError, match=r"pip install 'banditd-sim\[ml\]'") as caught:
        cross_fitted_boosting(some_log())
    assert caught.value.reason == "MISSING_EXTRA"


def test_boosting_predicts_what_ridge_cannot():
    """On rewards that depend on the square of a feature."""
    pytest.importorskip("sklearn", reason="scikit-learn is an extra: banditd-sim[ml]")
    rng = np.random.default_rng(0)
    n = 3000
    x = rng.uniform(-1.0, 1.0, (n, 2))
    action = rng.integers(0, 2, n)
    mean = np.where(action == 0, x[:, 0] ** 2, 1.0 - x[:, 0] ** 2)
    log = LoggedRounds(action, mean, np.full(n, 0.5), ["a", "b"], context=x)
    rows = np.arange(n)
    errors = [np.abs(fit(log)[rows, action] - mean).mean() for fit in (cross_fitted_boosting, cross_fitted_ridge)]
    assert errors[0] < 0.2 * errors[1]
