"""Means of groups, shrunk to their common mean: the normal-normal model of empirical Bayes."""

import math

from banditd.kernels._jit import Array64, array, f64, i64, kernel
from banditd.kernels.decision import exp_bounded
from banditd.kernels.elementary import logarithm


@kernel(
    array(f64, "C"),
    array(f64, "C"),
    f64,
    f64,
    f64,
    f64,
    i64,
    f64,
    array(f64, "C", out=True),
    array(f64, "C", out=True),
    returns=(f64, f64),
)
def shrink(
    counts: Array64,  # (C,) values per group, >= 0
    means: Array64,  # (C,) their means; anything where there are none
    noise: float,  # variance of a value within its group, > 0
    between: float,  # variance of the groups' true means, >= 0
    prior_mean: float,  # expected common mean
    prior_precision: float,  # of it, > 0
    logs: int,  # 1 where the values are logs: then expectations are written instead, and 0 otherwise
    offset: float,  # added to logs first
    out_mean: Array64,  # (C,) written: posterior mean of each group
    out_deviation: Array64,  # (C,) written: its posterior standard deviation
) -> tuple[float, float]:
    """Shrink each group's mean to the common one; return the common one and its variance.

    Gelman et al., Bayesian Data Analysis (2013), section 5.4, equations 5.17 and 5.20, with a normal prior on the
    common mean; a group without values gets the common mean and all of the variance between groups.
    """
    precision = prior_precision
    total = prior_precision * prior_mean
    for c in range(counts.shape[0]):
        if counts[c] > 0.0:
            weight = 1.0 / (between + noise / counts[c])
            precision += weight
            total += weight * means[c]
    common = total / precision
    for c in range(counts.shape[0]):
        own = between * counts[c] / (between * counts[c] + noise)  # 0 where there is nothing, 1 where there is much
        mean = common
        if counts[c] > 0.0:
            mean = common + own * (means[c] - common)
        out_deviation[c] = math.sqrt(between * (1.0 - own) + (1.0 - own) * (1.0 - own) / precision)
        out_mean[c] = exp_bounded(mean + offset) if logs else mean
    return common, 1.0 / precision


@kernel(array(f64, "C"), array(f64, "C"), f64, array(f64, "G"), f64, f64, array(f64, "G", inout=True))
def add_evidence(
    counts: Array64,  # (C,) values per group, >= 0
    means: Array64,  # (C,) their means; anything where there are none
    noise: float,  # variance of a value within its group, > 0
    betweens: Array64,  # (G,) variances of the groups' true means that are compared, > 0
    prior_mean: float,  # expected common mean
    prior_precision: float,  # of it, > 0
    inout_evidence: Array64,  # (G,) the logs of the marginal likelihoods of the means are added
) -> None:
    """Add how likely the groups' means are under each variance between groups, the common mean integrated out.

    Gelman et al. (2013), equation 5.21, up to what does not depend on the variance.
    """
    for g in range(betweens.shape[0]):
        precision = prior_precision
        weighted = 0.0
        squares = 0.0
        logs = 0.0
        for c in range(counts.shape[0]):
            if counts[c] > 0.0:
                weight = 1.0 / (betweens[g] + noise / counts[c])
                distance = means[c] - prior_mean
                precision += weight
                weighted += weight * distance
                squares += weight * distance * distance
                logs += logarithm(weight)
        logs -= logarithm(precision / prior_precision)
        inout_evidence[g] += 0.5 * (logs - squares + weighted * weighted / precision)
