"""Off-policy estimators, each as one term per round.

Notation, over n rounds: logged reward r, propensity p of the drawn model a, target pmf pi, weight w = pi(a|x) / p,
reward model q, direct value DM = sum_k pi(k|x) q(x, k), and the residual e = r - q(x, a). All arrays are (n,) float64.
Rewards that were never observed must have been dealt with before (see `weights.py`): a nan here comes out as a nan.

Every function returns `RoundTerms`; `terms.estimate` makes one number of them.
"""

from __future__ import annotations

import numpy as np

from banditd_sim.ope.arrays import Bool, Float64
from banditd_sim.ope.errors import LogError, SupportError
from banditd_sim.ope.terms import RoundTerms

# Weights and probabilities that went through float32 differ from the exact ones by less than this.
ROUNDING = 1e-5


def dm(model_value: Float64) -> RoundTerms:
    """Direct method: mean of DM. As good as the reward model, and silent about its error.

    Beygelzimer and Langford, The offset tree for learning with partial labels, KDD 2009.
    """
    return RoundTerms(addend=model_value, numerator=None)


def ips(reward: Float64, weight: Float64) -> RoundTerms:
    """Inverse propensity scoring: mean of w r. Unbiased where the log has support.

    Horvitz and Thompson, JASA 47 (1952); Strehl et al., NIPS 2010, arXiv:1003.0120.
    """
    return RoundTerms(addend=None, numerator=weight * reward)


def clipped_ips(reward: Float64, weight: Float64, *, weight_max: float) -> RoundTerms:
    """Clipped IPS: mean of min(w, weight_max) r. Less variance, and biased towards 0 where the clip bites.

    Ionides, Truncated importance sampling, JCGS 17 (2008); Bottou et al., JMLR 14 (2013).

    Args:
        reward: (n,).
        weight: (n,), >= 0.
        weight_max: > 0; infinity gives IPS.
    """
    _check_parameter("weight_max", weight_max)
    return RoundTerms(addend=None, numerator=np.minimum(weight, weight_max) * reward)


def snips(reward: Float64, weight: Float64) -> RoundTerms:
    """Self-normalised IPS: sum(w r) / sum(w). Stays in the range of the rewards; biased by O(1/n).

    Swaminathan and Joachims, The self-normalized estimator for counterfactual learning, NIPS 2015.
    """
    return RoundTerms(addend=None, numerator=weight * reward, denominator=weight)


def dr(reward: Float64, weight: Float64, q_drawn: Float64, model_value: Float64) -> RoundTerms:
    """Doubly robust: mean of DM + w e. Unbiased if either propensities or reward model are right.

    Dudík, Langford and Li, ICML 2011, arXiv:1103.4601.

    Args:
        reward: (n,).
        weight: (n,), >= 0.
        q_drawn: (n,), the reward model at the drawn model, from folds that did not see the round.
        model_value: (n,), DM.
    """
    return RoundTerms(addend=model_value, numerator=weight * (reward - q_drawn))


def sndr(reward: Float64, weight: Float64, q_drawn: Float64, model_value: Float64) -> RoundTerms:
    """Self-normalised doubly robust: mean(DM) + sum(w e) / sum(w).

    Thomas and Brunskill, ICML 2016, arXiv:1604.00923 (weighted doubly robust, at horizon one).
    """
    return RoundTerms(addend=model_value, numerator=weight * (reward - q_drawn), denominator=weight)


def switch_dr(
    reward: Float64, weight: Float64, q_drawn: Float64, model_value: Float64, *, weight_max: float
) -> RoundTerms:
    """Switch-DR: mean of DM + w 1[w <= weight_max] e. 0 gives the direct method, infinity gives DR.

    Wang, Agarwal and Dudík, ICML 2017, arXiv:1612.01205.
    """
    _check_parameter("weight_max", weight_max, zero_allowed=True)
    kept = np.where(weight <= weight_max, weight, 0.0)
    return RoundTerms(addend=model_value, numerator=kept * (reward - q_drawn))


def dr_os(reward: Float64, weight: Float64, q_drawn: Float64, model_value: Float64, *, shrinkage: float) -> RoundTerms:
    """DR with optimistic shrinkage: mean of DM + s w / (w^2 + s) e. 0 gives DM, infinity gives DR.

    Su, Dimakopoulou, Krishnamurthy and Dudík, ICML 2020, arXiv:1907.09623, eq. (9).
    """
    _check_parameter("shrinkage", shrinkage, zero_allowed=True)
    return RoundTerms(addend=model_value, numerator=shrunk_weight(weight, shrinkage) * (reward - q_drawn))


def sub_gaussian_ips(reward: Float64, weight: Float64, *, mixing: float) -> RoundTerms:
    """Sub-Gaussian IPS: mean of w / (1 - m + m w) r, with m in [0, 1]; 0 gives IPS, 1 the mean reward.

    Metelli, Russo and Restelli, NeurIPS 2021 (s = -1: the weights' weighted harmonic mean with 1).
    """
    return RoundTerms(addend=None, numerator=_harmonic_weight(weight, mixing) * reward)


def sub_gaussian_dr(
    reward: Float64, weight: Float64, q_drawn: Float64, model_value: Float64, *, mixing: float
) -> RoundTerms:
    """Sub-Gaussian DR: mean of DM + w / (1 - m + m w) e, with m in [0, 1] (Metelli et al., NeurIPS 2021)."""
    return RoundTerms(addend=model_value, numerator=_harmonic_weight(weight, mixing) * (reward - q_drawn))


def mips(reward: Float64, cluster_weight: Float64) -> RoundTerms:
    """Marginalised IPS: mean of w(x, c) r, with w(x, c) = pi(c|x) / p(c|x) for the drawn model's cluster c.

    Less variance than IPS by far with many models; unbiased if, given the prompt and the cluster, it does not matter
    which model of the cluster answered. `weights.cluster_weights` makes the weights.

    Saito and Joachims, ICML 2022, arXiv:2202.06317.
    """
    return RoundTerms(addend=None, numerator=cluster_weight * reward)


def replay(reward: Float64, target_drawn: Float64, propensity: Float64, eligible_count: Float64) -> RoundTerms:
    """Replay: mean reward of the rounds in which a deterministic target agrees with a uniform log.

    Li, Chu, Langford and Wang, WSDM 2011, arXiv:1003.5956. Its unbiasedness needs uniform logging, so anything else is
    refused: use `rejection_sampling` there.

    Args:
        reward: (n,).
        target_drawn: (n,), pi(a|x), each 0 or 1.
        propensity: (n,), each 1 / eligible_count.
        eligible_count: (n,), number of models that could be drawn.

    Raises:
        SupportError: `NOT_UNIFORM`, `NOT_DETERMINISTIC` or `NO_MATCH`.
    """
    if bool((np.abs(propensity * eligible_count - 1.0) > ROUNDING).any()):
        message = "replay: expected uniform logging propensities, got others; use rejection_sampling or ips"
        raise SupportError(message, reason="NOT_UNIFORM")
    matched = target_drawn > 1.0 - ROUNDING
    if bool((~matched & (target_drawn > ROUNDING)).any()):
        message = "replay: expected a deterministic target, got a stochastic one; use rejection_sampling or ips"
        raise SupportError(message, reason="NOT_DETERMINISTIC")
    return _accepted(reward, matched, "replay: no round in which target and log agree")


def rejection_sampling(reward: Float64, weight: Float64, *, weight_bound: float, seed: int) -> RoundTerms:
    """Rejection sampling: accept a round with probability w / weight_bound, return the mean reward of the accepted.

    The accepted rounds are a sample of the target's own rounds if and only if *weight_bound* >= every weight that
    could occur; min(1, w) as the acceptance probability is biased. Dudík et al., Sample-efficient nonstationary policy
    evaluation for contextual bandits, UAI 2012, arXiv:1210.4862; Li et al. 2011 is the case of a uniform log.

    Args:
        reward: (n,).
        weight: (n,), in [0, weight_bound].
        weight_bound: Greatest weight that could occur, not the greatest that did.
        seed: Decides which rounds are accepted.

    Raises:
        SupportError: `WEIGHT_ABOVE_BOUND` if a weight exceeds the bound, `NO_MATCH` if nothing was accepted.
    """
    largest = float(weight.max())
    if largest > weight_bound * (1.0 + ROUNDING):
        message = f"rejection_sampling: expected weights of at most {weight_bound:.6g}, got {largest:.6g}"
        raise SupportError(message, reason="WEIGHT_ABOVE_BOUND")
    uniform = np.random.default_rng(seed).random(weight.shape[0])
    return _accepted(reward, uniform * weight_bound < weight, "rejection_sampling: no round was accepted")


def shrunk_weight(weight: Float64, shrinkage: float) -> Float64:
    """Return s w / (w^2 + s), the optimistic shrinkage of Su et al. 2020; w itself for s = infinity."""
    if np.isinf(shrinkage):
        return weight
    if shrinkage == 0.0:
        return np.zeros_like(weight)
    return shrinkage * weight / (weight * weight + shrinkage)


def _harmonic_weight(weight: Float64, mixing: float) -> Float64:
    if not 0.0 <= mixing <= 1.0:
        raise LogError("mixing", "in [0, 1]", mixing, reason="PARAMETER_OUT_OF_RANGE")
    # With mixing 1 the formula is w / w; 0 / 0 is a round that the target never plays: weight 0.
    bottom = 1.0 - mixing + mixing * weight
    return np.divide(weight, bottom, out=np.zeros_like(weight), where=bottom > 0.0)


def _accepted(reward: Float64, accepted: Bool, otherwise: str) -> RoundTerms:
    if not accepted.any():
        raise SupportError(otherwise, reason="NO_MATCH")
    kept = accepted.astype(np.float64)
    return RoundTerms(addend=None, numerator=kept * reward, denominator=kept)


def _check_parameter(name: str, value: float, *, zero_allowed: bool = False) -> None:
    if not (value > 0.0 or (zero_allowed and value == 0.0)):
        raise LogError(name, ">= 0" if zero_allowed else "> 0", value, reason="PARAMETER_OUT_OF_RANGE")
