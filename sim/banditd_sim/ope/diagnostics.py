"""What to know about a log and a target before believing an estimate, and when to refuse one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from banditd_sim.ope.arrays import BLOCK_ROWS, Bool, Float64, Int64
from banditd_sim.ope.errors import SupportError
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.ope.products import inner
from banditd_sim.ope.quantiles import chi_square_tail
from banditd_sim.ope.weights import Weighted

# Edges of the propensity bins of the calibration check: finer where propensities are small, which is where a wrong one
# does harm.
CALIBRATION_EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.97)
# Of the rounds, as the calibration check counts them; below it a normal approximation per bin means nothing.
_BIN_EXPECTED_MIN = 5.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether models were drawn as often as the logged pmf says: chi-square tests by model and by size of probability.

    A round's drawn cell is one draw from its own distribution over cells (cell = model, or bin of probabilities), so
    the counts minus their expectation have covariance V = diag(sum q_i) - sum q_i q_i'. Each statistic is d' V^+ d,
    chi-square with rank(V) degrees of freedom, also under adaptive logging (a martingale with known variance).

    Attributes:
        statistic_by_model, degrees_by_model: Over the K models.
        statistic_by_bin, degrees_by_bin: Over bins of the logged probability (`CALIBRATION_EDGES`).
        p_value: In [0, 1]: the smaller of the two tests' p-values, doubled (Bonferroni). Small is bad.
    """

    statistic_by_model: float
    degrees_by_model: int
    statistic_by_bin: float
    degrees_by_bin: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Figures to print beside every estimate.

    Attributes:
        rounds_count: n.
        censored_count: Rounds whose reward was never observed.
        ess: Effective sample size (sum w)^2 / sum w^2, in [0, n] (Kish, Survey sampling, 1965).
        ess_share: ess / n.
        weight_mean: Mean weight. Its expectation is 1, less whatever mass of the target has no support.
        weight_mean_z: (weight_mean - 1) / (sd(w) / sqrt(n)): a standard normal if the propensities are right and the
            log has support. 0 if all weights are 1, infinite if all are equal and not 1.
        weight_largest: Greatest weight seen.
        weight_bound: Greatest weight possible (`weights.weight_bound`).
        match_rate: Mean of pi(a|x), the chance that the target would have done what was done.
        unsupported_rounds_share: Share of rounds in which the target may play a model that could not have been logged,
            or whose rewards were never observed. nan if the log has neither pmf nor floor to tell by.
        unsupported_mass: Mean probability that the target gives to such models; times the range of rewards, it bounds
            the bias of every estimator. nan as above.
        model_counts: (K,), rounds in which each model was drawn.
        calibration: None if the log has no pmf.
    """

    rounds_count: int
    censored_count: int
    ess: float
    ess_share: float
    weight_mean: float
    weight_mean_z: float
    weight_largest: float
    weight_bound: float
    match_rate: float
    unsupported_rounds_share: float
    unsupported_mass: float
    model_counts: tuple[int, ...]
    calibration: Calibration | None


@dataclass(frozen=True, slots=True)
class SupportLimits:
    """When `require_support` refuses. The defaults err on the side of answering: they stop what is beyond doubt.

    Attributes:
        unsupported_mass_max: In [0, 1]. 0.001 lets at most a thousandth of the range of rewards be extrapolated.
        ess_min: Rounds. With fewer than 30 that count, no interval here keeps its level.
        weight_mean_z_max: Standard deviations. At 5, a right log is refused once in two million times (once in
            thousands if weights are heavy-tailed); wrong propensities of any consequence are caught from a few
            thousand rounds on.
        calibration_p_min: In [0, 1]. Likewise for the chi-square test.
    """

    unsupported_mass_max: float = 0.001
    ess_min: float = 30.0
    weight_mean_z_max: float = 5.0
    calibration_p_min: float = 1e-6


def diagnose(
    log: LoggedRounds, target: Float64, weights: Weighted, *, calibration: Calibration | None = None
) -> Diagnostics:
    """Compute the diagnostics of one target on one log.

    Args:
        log: n rounds.
        target: (n, K), checked.
        weights: From `weights.weighted`.
        calibration: From `propensity_calibration`, which depends on the log alone and can be shared between targets;
            computed here if None.
    """
    n = len(log)
    w = weights.weight
    total, squares = float(w.sum()), float(w @ w)
    mean = total / n
    # Unobserved rounds carry weight 0 and the others more, so that the mean is 1 with missing rewards as well.
    deviation = math.sqrt(max(squares / n - mean * mean, 0.0) / n)
    off = mean - 1.0
    z = off / deviation if deviation > 1e-12 else (0.0 if abs(off) < 1e-5 else math.copysign(math.inf, off))
    rounds_share, mass = _unsupported(log, target, weights.unrated)
    if calibration is None and log.pmf is not None:
        calibration = propensity_calibration(log)
    ess = total * total / squares if squares > 0.0 else 0.0
    return Diagnostics(
        rounds_count=n,
        censored_count=int((~log.observed).sum()),
        ess=ess,
        ess_share=ess / n,
        weight_mean=mean,
        weight_mean_z=z,
        weight_largest=float(w.max()),
        weight_bound=weights.weight_bound,
        match_rate=float(target[np.arange(n), log.action].mean()),
        unsupported_rounds_share=rounds_share,
        unsupported_mass=mass,
        model_counts=tuple(np.bincount(log.action, minlength=log.models_count).tolist()),
        calibration=calibration,
    )


def require_support(diagnostics: Diagnostics, limits: SupportLimits | None = None) -> None:
    """Refuse to estimate where the log has no support for the target, or where its propensities cannot be right.

    Checked in this order: no weight at all; target mass on models that could not have been logged; a mean weight far
    from 1 (support missing without a pmf to show it, or wrong propensities); draws that do not follow the logged pmf;
    too small an effective sample.

    Raises:
        SupportError: `NO_SUPPORT`, `WEIGHTS_OFF`, `PROPENSITIES_OFF` or `TOO_FEW_EFFECTIVE_ROUNDS`.
    """
    limits = SupportLimits() if limits is None else limits
    d = diagnostics
    if d.weight_mean == 0.0:
        raise SupportError("no support: the target never does what the log did, in any round", reason="NO_SUPPORT")
    if d.unsupported_mass > limits.unsupported_mass_max:
        message = (
            f"no support: in {d.unsupported_rounds_share:.2%} of rounds the target may play models that had "
            f"probability 0 in the log or were never rated ({d.unsupported_mass:.3%} of its decisions; at most "
            f"{limits.unsupported_mass_max:.3%})"
        )
        raise SupportError(message, reason="NO_SUPPORT")
    if abs(d.weight_mean_z) > limits.weight_mean_z_max:
        message = (
            f"weights: expected a mean of 1, got {d.weight_mean:.4g} ({d.weight_mean_z:+.1f} standard errors): "
            "propensities are wrong, or the target plays models that were never logged"
        )
        raise SupportError(message, reason="WEIGHTS_OFF")
    if d.calibration is not None and d.calibration.p_value < limits.calibration_p_min:
        message = (
            f"propensities: the models drawn do not follow the logged probabilities (p = {d.calibration.p_value:.1e}, "
            f"chi-square {d.calibration.statistic_by_model:.1f} on {d.calibration.degrees_by_model} by model, "
            f"{d.calibration.statistic_by_bin:.1f} on {d.calibration.degrees_by_bin} by bin)"
        )
        raise SupportError(message, reason="PROPENSITIES_OFF")
    if d.ess < limits.ess_min:
        message = (
            f"effective sample: {d.ess:.1f} of {d.rounds_count} rounds (at least {limits.ess_min:g}): the target is "
            "too unlike the logging policy for this many rounds"
        )
        raise SupportError(message, reason="TOO_FEW_EFFECTIVE_ROUNDS")


def propensity_calibration(log: LoggedRounds) -> Calibration | None:
    """Test the drawn models against the logged pmf (see `Calibration`); None if the log has no pmf.

    Takes O(n K) time and one block of rows of memory.
    """
    if log.pmf is None:
        return None
    models, bins = log.models_count, len(CALIBRATION_EDGES) + 1
    by_model, by_bin = _Counts(models), _Counts(bins)
    for start in range(0, len(log), BLOCK_ROWS):
        pmf, action = log.pmf[start : start + BLOCK_ROWS], log.action[start : start + BLOCK_ROWS]
        rows = np.arange(pmf.shape[0])
        by_model.add(pmf, action)
        which: Int64 = np.asarray(np.searchsorted(CALIBRATION_EDGES, pmf, side="right"), dtype=np.int64)
        cell = (rows[:, None] * bins + which).ravel()
        mass = np.bincount(cell, weights=pmf.ravel(), minlength=rows.size * bins)
        by_bin.add(np.asarray(mass, dtype=np.float64).reshape(-1, bins), which[rows, action])
    model_statistic, model_degrees = by_model.test()
    bin_statistic, bin_degrees = by_bin.test()
    smallest = min(
        chi_square_tail(model_statistic, model_degrees) if model_degrees else 1.0,
        chi_square_tail(bin_statistic, bin_degrees) if bin_degrees else 1.0,
    )
    return Calibration(model_statistic, model_degrees, bin_statistic, bin_degrees, min(1.0, 2.0 * smallest))


class _Counts:
    """Observed minus expected counts per cell, and their covariance, summed over rounds."""

    def __init__(self, cells: int) -> None:
        self.gap = np.zeros(cells)
        self.expected = np.zeros(cells)
        self.product = np.zeros((cells, cells))

    def add(self, q: Float64, cell: Int64) -> None:
        expected = q.sum(axis=0)
        self.gap += np.bincount(cell, minlength=q.shape[1]) - expected
        self.expected += expected
        self.product += inner(q, q)

    def test(self) -> tuple[float, int]:
        """Return the statistic and its degrees of freedom; sparse cells are left out."""
        kept = self.expected >= _BIN_EXPECTED_MIN
        covariance = (np.diag(self.expected) - self.product)[np.ix_(kept, kept)]
        if not kept.any():
            return 0.0, 0
        values, vectors = np.linalg.eigh(covariance)
        # Counts sum to n when every cell is kept, so one direction has no variance; certain draws add others. Less
        # than a thousandth of a draw of variance is such a direction, up to rounding.
        solid = values > 1e-3
        along = vectors.T @ self.gap[kept]
        return float((along[solid] ** 2 / values[solid]).sum()), int(solid.sum())


def _unsupported(log: LoggedRounds, target: Float64, unrated: Bool) -> tuple[float, float]:
    # Mass on ineligible models was refused already (`as_target`), and a floor leaves no eligible model without support.
    if log.pmf is None and log.floor is None and not unrated.any():
        return math.nan, math.nan
    rounds, mass = 0, 0.0
    for start in range(0, len(log), BLOCK_ROWS):
        part = target[start : start + BLOCK_ROWS]
        without = np.broadcast_to(unrated, part.shape)
        if log.pmf is not None:
            without = without | (log.pmf[start : start + BLOCK_ROWS] <= 0.0)
        lost = np.where(without, part, 0.0).sum(axis=1)
        rounds += int(np.count_nonzero(lost))
        mass += float(lost.sum())
    return rounds / len(log), mass / len(log)
