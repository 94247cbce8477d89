"""Importance weights: how much more often the target policy would have done what the log did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from banditd_sim.ope.arrays import BLOCK_ROWS, Bool, Float64, Int64, check_pmf
from banditd_sim.ope.arrivals import observed_chances
from banditd_sim.ope.errors import LogError, SupportError
from banditd_sim.ope.log import LoggedRounds

Missing = Literal["refuse", "drop", "per_model", "per_context"]


@dataclass(frozen=True, slots=True)
class Weighted:
    """The arrays that the estimators take.

    Attributes:
        reward: (n,), with 0 where it was not observed (the weight is 0 there as well).
        weight: (n,), >= 0: pi(a|x) / p, over the chance of being observed where rewards are missing.
        propensity: (n,), what *weight* was divided by.
        target_drawn: (n,), pi(a|x), 0 where the reward was not observed.
        weight_bound: Greatest weight that the log allows for this target (see `weight_bound`).
        unrated: (K,), models that were drawn but whose rewards were never observed: they have no support.
    """

    reward: Float64
    weight: Float64
    propensity: Float64
    target_drawn: Float64
    weight_bound: float
    unrated: Bool


def as_target(log: LoggedRounds, target_pmf: npt.ArrayLike) -> Float64:
    """Check a target policy's pmf against a log and return it as float64 (n, K).

    Raises:
        LogError: Wrong shape, not finite, outside [0, 1], not summing to 1, or mass on an ineligible model.
    """
    target = np.asarray(target_pmf, dtype=np.float64)
    shape = (len(log), log.models_count)
    if target.shape != shape:
        raise LogError("target_pmf", f"shape {shape}", f"{target.shape}", reason="WRONG_SHAPE")
    check_pmf(target, field="target_pmf", eligible=log.eligible)
    return target


def weighted(log: LoggedRounds, target: Float64, *, missing: Missing = "refuse") -> Weighted:
    """Weigh a log by a target policy.

    Args:
        log: n rounds.
        target: (n, K), checked by `as_target`.
        missing: What to do about unobserved rewards. "refuse" raises. "drop" uses the observed rounds as they are:
            right only if being observed depends on nothing. "per_model" divides the propensity by the observed
            share of the drawn model's rounds: right if, for a given model, being observed does not depend on the
            reward (Horvitz–Thompson weights for non-response). "per_context" divides it by the chance of being
            observed that the router's own model of arrivals gives for model and context: right if that is what it
            depends on. Nothing can repair the case where bad answers are rated less often than good ones.

    Raises:
        SupportError: `REWARDS_MISSING` under "refuse".
    """
    rows = np.arange(len(log))
    drawn = target[rows, log.action]
    observed = log.observed
    propensity = log.propensity
    bound = weight_bound(log, target)
    unrated = np.zeros(log.models_count, dtype=np.bool_)
    if not observed.all():
        share = _observed_share(log, missing)
        unrated = (share == 0.0) & (np.bincount(log.action, minlength=log.models_count) > 0)
        chance = np.where(share > 0.0, share, 1.0)[log.action]
        if missing == "per_context":
            chance = np.where(unrated[log.action], 1.0, observed_chances(log))
        propensity = propensity * chance
        drawn = np.where(observed, drawn, 0.0)
        bound /= float(chance.min())
    reward = np.where(observed, log.reward, 0.0)
    return Weighted(reward, drawn / propensity, propensity, drawn, bound, unrated)


def _observed_share(log: LoggedRounds, missing: Missing) -> Float64:
    observed = log.observed
    count = int((~observed).sum())
    if missing == "refuse":
        message = (
            f"reward: {count} of {len(log)} rewards were never observed; say how they went missing: "
            'missing="per_context" (given model and prompt, independent of the reward), "per_model" (given the model) '
            'or "drop" (independent of everything)'
        )
        raise SupportError(message, reason="REWARDS_MISSING")
    models = log.models_count
    if missing == "drop":
        return np.full(models, float(observed.mean()))
    rounds = np.bincount(log.action, minlength=models)
    seen = np.bincount(log.action, weights=observed, minlength=models)
    return np.divide(seen, rounds, out=np.zeros(models), where=rounds > 0)


def weight_bound(log: LoggedRounds, target: Float64) -> float:
    """Return the greatest weight that this target could have got on these prompts, whichever models were drawn.

    With a known floor f it is max_i,k pi(k|x_i) / f; else with the logged pmf max_i,k pi(k|x_i) / p(k|x_i) over
    p > 0; else, with nothing better to go by, the greatest weight seen, which is too small in general.
    """
    if log.floor is not None:
        return float(target.max()) / log.floor
    if log.pmf is None:
        return float((target[np.arange(len(log)), log.action] / log.propensity).max())
    largest = 0.0
    for start in range(0, len(log), BLOCK_ROWS):
        part, logged = target[start : start + BLOCK_ROWS], log.pmf[start : start + BLOCK_ROWS]
        ratio = np.divide(part, logged, out=np.zeros_like(part), where=logged > 0.0)
        largest = max(largest, float(ratio.max()))
    return largest


def cluster_weights(log: LoggedRounds, target: Float64, model_cluster: Int64) -> Float64:
    """Return w(x, c) = sum_{k in c} pi(k|x) / sum_{k in c} p(k|x) for the drawn model's cluster c, shape (n,).

    Args:
        log: n rounds with the logged pmf.
        target: (n, K).
        model_cluster: (K,), which cluster each model is of; any integers.

    Raises:
        LogError: `NO_PMF` without a logged pmf, `WRONG_SHAPE` if there is not one cluster per model.
    """
    if log.pmf is None:
        raise LogError("pmf", "the whole logged distribution, for cluster weights", None, reason="NO_PMF")
    if model_cluster.shape != (log.models_count,):
        expected = f"one cluster for each of {log.models_count} models"
        raise LogError("model_cluster", expected, f"shape {model_cluster.shape}", reason="WRONG_SHAPE")
    top, bottom = np.zeros(len(log)), np.zeros(len(log))
    drawn = model_cluster[log.action]
    for k in range(log.models_count):
        same = drawn == model_cluster[k]
        top[same] += target[same, k]
        bottom[same] += log.pmf[same, k]
    return top / bottom
