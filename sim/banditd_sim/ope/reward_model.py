"""Reward models q(x, k) for the direct and doubly robust estimators, never fitted on the round they predict."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from banditd_sim.ope.arrays import BLOCK_ROWS, Bool, Float64, Int64
from banditd_sim.ope.errors import LogError, OpeError
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.ope.products import apply_rows, inner

# A model's own coefficients are pulled to those shared by all models as if by this many rounds. At 10, a model seen a
# thousand times is its own; one seen five times is mostly the average model. Raising it helps with many rare models.
SHRINKAGE_ROUNDS = 10.0
# The shared coefficients are pulled to 0 (the intercept is not) as if by this many rounds.
SHARED_SHRINKAGE_ROUNDS = 1.0
# First refit of the predictable model, and the growth between refits: 25 refits for a million rounds.
_FIRST_REFIT_ROUNDS = 50
_REFIT_GROWTH = 1.5


def fold_of_round(n: int, *, folds: int, seed: int) -> Int64:
    """Return the fold (n,) of each round, in [0, folds): equal sizes to within one, at random, fixed by *seed*.

    Raises:
        LogError: `PARAMETER_OUT_OF_RANGE` for fewer than 2 folds.
    """
    if folds < 2:
        raise LogError("folds", "at least 2", folds, reason="PARAMETER_OUT_OF_RANGE")
    return np.random.default_rng(seed).permutation(np.arange(n, dtype=np.int64) % folds)


def cross_fitted_ridge(
    log: LoggedRounds,
    *,
    folds: int = 5,
    seed: int = 0,
    shrinkage: float = SHRINKAGE_ROUNDS,
    shared_shrinkage: float = SHARED_SHRINKAGE_ROUNDS,
) -> Float64:
    """Return q (n, K): a linear model per LLM, shrunk to the one they share, fitted on the other folds.

    With z = (1, x), G_k = sum z z' and b_k = sum z r over the rounds of model k with an observed reward, and S the
    diagonal of the mean squares of z:

        shared   t   = (sum_k G_k + shared_shrinkage S_0)^-1 sum_k b_k      (S_0: S with 0 for the intercept)
        model k  t_k = (G_k + shrinkage S)^-1 (b_k + shrinkage S t)

    which is ridge regression around the shared coefficients, in closed form. Predictions are clipped to the range
    of rewards. Cross-fitting: Chernozhukov et al., Econometrics Journal 21 (2018), arXiv:1608.00060.

    Time is O(n D^2 + n D K); memory beyond the result is one block of rows. Without a context it is the models' means.
    """
    fold = fold_of_round(len(log), folds=folds, seed=seed)
    models = log.models_count
    gram, moment = _sums_by_group(log, fold * models + log.action, groups=folds * models)
    gram = gram.reshape(folds, models, *gram.shape[1:])
    moment = moment.reshape(folds, models, -1)
    gram_total, moment_total = gram.sum(axis=0), moment.sum(axis=0)
    q = np.empty((len(log), models))
    for f in range(folds):
        theta = _solve(
            gram_total - gram[f], moment_total - moment[f], shrinkage, shared_shrinkage, prior_mean=_middle(log)
        )
        _predict(log, np.flatnonzero(fold == f), theta, q)
    return q


def predictable_ridge(
    log: LoggedRounds, *, shrinkage: float = SHRINKAGE_ROUNDS, shared_shrinkage: float = SHARED_SHRINKAGE_ROUNDS
) -> Float64:
    """Return q (n, K) where row i depends on rounds before i only, in the order of the log.

    The model is that of `cross_fitted_ridge`, refitted on all rounds so far after 50 rounds and whenever their number
    has grown by half; before that it is the middle of the rewards' range. Confidence sequences need this: an adaptive
    logging policy makes later rounds depend on earlier ones, which cross-fitting would leak back.
    """
    n, models = len(log), log.models_count
    q = np.full((n, models), _middle(log))
    size = 1 if log.context is None else log.context.shape[1] + 1
    gram, moment = np.zeros((models, size, size)), np.zeros((models, size))
    start, stop = 0, min(_FIRST_REFIT_ROUNDS, n)
    while stop < n:
        rows = np.arange(start, stop)
        part_gram, part_moment = _sums_by_group(log, log.action[rows], groups=models, rows=rows)
        gram += part_gram
        moment += part_moment
        start, stop = stop, min(n, int(stop * _REFIT_GROWTH) + 1)
        theta = _solve(gram, moment, shrinkage, shared_shrinkage, prior_mean=_middle(log))
        _predict(log, np.arange(start, stop), theta, q)
    return q


def cross_fitted_boosting(log: LoggedRounds, *, folds: int = 5, seed: int = 0, **settings: Any) -> Float64:
    """Return q (n, K) of scikit-learn's histogram gradient boosting over (context, model), fitted on the other folds.

    Args:
        log: Rounds with a context.
        folds: At least 2.
        seed: Decides folds and subsampling.
        **settings: Passed to `sklearn.ensemble.HistGradientBoostingRegressor`.

    Raises:
        OpeError: `MISSING_EXTRA` where scikit-learn is not installed.
        LogError: `NO_CONTEXT` without a context.
    """
    if log.context is None:
        raise LogError("context", "features, for a boosted reward model", None, reason="NO_CONTEXT")
    try:
        ensemble = importlib.import_module("sklearn.ensemble")
    except ImportError as error:
        message = "a boosted reward model needs scikit-learn: pip install 'banditd-sim[ml]'"
        raise OpeError(message, reason="MISSING_EXTRA") from error
    fold = fold_of_round(len(log), folds=folds, seed=seed)
    q = np.full((len(log), log.models_count), _middle(log))
    columns = log.context.shape[1]
    # The model's index is one more column. It is declared categorical where the library can (at most 255 values).
    settings = {"random_state": seed, **settings}
    if log.models_count <= 255:
        settings.setdefault("categorical_features", [columns])
    for f in range(folds):
        train = np.flatnonzero((fold != f) & log.observed)
        test = np.flatnonzero(fold == f)
        if train.size == 0 or test.size == 0:
            continue
        fitted = ensemble.HistGradientBoostingRegressor(**settings)
        fitted.fit(np.column_stack([log.context[train], log.action[train]]), log.reward[train])
        for k in range(log.models_count):
            rows = np.column_stack([log.context[test], np.full(test.size, k)])
            q[test, k] = fitted.predict(rows)
    return np.clip(q, log.reward_min, log.reward_max, out=q)


def direct_values(q: Float64, target: Float64) -> Float64:
    """Return DM (n,): sum_k target(k|x) q(x, k)."""
    return np.asarray(np.einsum("nk,nk->n", target, q))


def _middle(log: LoggedRounds) -> float:
    return 0.5 * (log.reward_min + log.reward_max)


def _design(log: LoggedRounds, rows: Int64) -> Float64:
    if log.context is None:
        return np.ones((rows.size, 1))
    design = np.empty((rows.size, log.context.shape[1] + 1))
    design[:, 0] = 1.0
    design[:, 1:] = log.context[rows]
    return design


def _sums_by_group(
    log: LoggedRounds, group: Int64, *, groups: int, rows: Int64 | None = None
) -> tuple[Float64, Float64]:
    """Return sum z z' (groups, D+1, D+1) and sum z r (groups, D+1) of the observed rounds of each group."""
    where = np.arange(len(log)) if rows is None else rows
    seen: Bool = ~np.isnan(log.reward[where])
    where, group = where[seen], group[seen]
    size = 1 if log.context is None else log.context.shape[1] + 1
    gram, moment = np.zeros((groups, size, size)), np.zeros((groups, size))
    order = where[np.argsort(group, kind="stable")]
    ends = np.cumsum(np.bincount(group, minlength=groups))
    for g in range(groups):
        members = order[ends[g - 1] if g else 0 : ends[g]]
        for start in range(0, members.size, BLOCK_ROWS):
            block = members[start : start + BLOCK_ROWS]
            # The reward rides along as the last column: one product gives both sums.
            z = np.column_stack([_design(log, block), log.reward[block]])
            product = inner(z, z)
            gram[g] += product[:-1, :-1]
            moment[g] += product[:-1, -1]
    return gram, moment


def _solve(gram: Float64, moment: Float64, shrinkage: float, shared_shrinkage: float, *, prior_mean: float) -> Float64:
    """Return the coefficients (K, D+1) from sums over the training rounds."""
    gram_all, moment_all = gram.sum(axis=0), moment.sum(axis=0)
    rounds = gram_all[0, 0]
    theta = np.zeros_like(moment)
    if rounds < 1.0:
        theta[:, 0] = prior_mean
        return theta
    scale = np.diag(gram_all) / rounds
    # A feature that is always 0 has nothing to be scaled by; any penalty keeps its coefficient at 0.
    scale = np.where(scale > 1e-12, scale, 1.0)
    penalty = shared_shrinkage * scale
    penalty[0] = 0.0
    shared = np.linalg.solve(gram_all + np.diag(penalty), moment_all)
    pull = np.diag(shrinkage * scale)
    solved = np.linalg.solve(gram + pull, (moment + pull @ shared)[:, :, None])
    return np.asarray(solved[:, :, 0])


def _predict(log: LoggedRounds, rows: Int64, theta: Float64, out_q: Float64) -> None:
    for start in range(0, rows.size, BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        out_q[block] = np.clip(apply_rows(_design(log, block), theta.T), log.reward_min, log.reward_max)
