"""RouteLLM's metrics of a router between a strong and a weak model: PGR, APGR and CPT.

Ong et al., RouteLLM, 2024, arXiv:2406.18665, section 3, in the form of its code (lm-sys/RouteLLM,
`routellm/evals/evaluate.py` and `benchmarks.py`). The paper's APGR is a mean of PGR at 10 % steps of strong calls; the
code's, given here, is a trapezoid over quantiles of the router's score. A random router has 0.5; 1 is no upper limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import Float64, finite_vector, same_length
from banditd_sim.metrics.errors import MetricError


@dataclass(frozen=True, slots=True)
class Curve:
    """Quality against the share of prompts that go to the strong model.

    Attributes:
        strong_share: (m,), in [0, 1], non-decreasing.
        quality: (m,), mean quality at that share.
        weak, strong: Mean quality of either model alone.
    """

    strong_share: Float64
    quality: Float64
    weak: float
    strong: float


def threshold_curve(
    strong_win_rate: npt.ArrayLike, strong: npt.ArrayLike, weak: npt.ArrayLike, *, bins: int = 10
) -> Curve:
    """Return the curve over thresholds at the score's quantiles 0, 1/bins, ..., 1.

    A prompt goes to the strong model if its score is >= the threshold, at the last threshold > (so that one end sends
    everything to the weak model). Quantiles interpolate linearly, as in `pandas.qcut(..., retbins=True)`.

    Args:
        strong_win_rate: (n,), the router's score.
        strong: (n,), quality of the strong model on each prompt.
        weak: (n,), of the weak one.
        bins: >= 1.

    Raises:
        MetricError: If two quantiles coincide: too many equal scores for so many bins, which `qcut` refuses as well.
    """
    score = finite_vector("strong_win_rate", strong_win_rate)
    s, w = finite_vector("strong", strong), finite_vector("weak", weak)
    same_length(strong_win_rate=score, strong=s, weak=w)
    if bins < 1:
        raise MetricError("bins", ">= 1", bins)
    thresholds = np.quantile(score, np.linspace(0.0, 1.0, bins + 1))
    if bool((np.diff(thresholds) <= 0.0).any()):
        raise MetricError("strong_win_rate", f"{bins + 1} distinct quantiles", np.unique(thresholds).size)
    shares, qualities = np.empty(bins + 1), np.empty(bins + 1)
    for i, threshold in enumerate(thresholds):
        chosen = score > threshold if i == bins else score >= threshold
        shares[i] = chosen.mean()
        qualities[i] = np.where(chosen, s, w).mean()
    order = np.argsort(shares, kind="stable")
    return Curve(shares[order], qualities[order], weak=float(w.mean()), strong=float(s.mean()))


def pgr(curve: Curve) -> Float64:
    """Return the performance gap recovered (m,) at each point: (quality - weak) / (strong - weak)."""
    return (curve.quality - curve.weak) / _gap(curve)


def apgr(curve: Curve) -> float:
    """Return (AUC - AUC_weak) / (AUC_strong - AUC_weak), trapezoids of quality over the strong share.

    The two reference areas run over the same shares, so that a curve that does not reach from 0 to 1 is normalised by
    what it covers.

    Raises:
        MetricError: Equal models, or a curve of zero length.
    """
    _gap(curve)
    length = float(curve.strong_share[-1] - curve.strong_share[0])
    if length <= 0.0:
        raise MetricError("curve", "two different shares of strong calls", curve.strong_share.tolist())
    area = float(np.trapezoid(curve.quality, curve.strong_share))
    return (area - curve.weak * length) / ((curve.strong - curve.weak) * length)


def cpt(curve: Curve, share_recovered: float, *, monotone: bool = False) -> float:
    """Return the call-performance threshold: the share of strong calls, in [0, 1], at which PGR reaches a share.

    `np.interp` of the strong share over quality, as the code has it. That is only meaningful where quality does not
    fall along the curve; *monotone* takes the running maximum first, and is what to report otherwise. Beyond the
    curve's ends it is its first or last share.

    Args:
        curve: From `threshold_curve`.
        share_recovered: In [0, 1]; customary are 0.2, 0.5 and 0.8.
        monotone: Whether to take the running maximum.
    """
    if not 0.0 <= share_recovered <= 1.0:
        raise MetricError("share_recovered", "in [0, 1]", share_recovered)
    quality = np.maximum.accumulate(curve.quality) if monotone else curve.quality
    return float(np.interp(share_recovered * _gap(curve) + curve.weak, quality, curve.strong_share))


def _gap(curve: Curve) -> float:
    gap = curve.strong - curve.weak
    if gap == 0.0:
        raise MetricError("curve", "a strong model that differs from the weak one", f"both {curve.weak:.6g}")
    return gap
