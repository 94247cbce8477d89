"""Adoption and recovery: how soon a policy uses a new model, and how soon it is good again after a change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import Float64, finite_vector
from banditd_sim.metrics.budget import trailing_mean
from banditd_sim.metrics.errors import MetricError


def adoption_rounds(
    played: npt.ArrayLike, *, start: int, share: float, window: int = 100, hold: int = 100
) -> int | None:
    """Return how many rounds after *start* a model's share reaches *share* and keeps it, None if it never does.

    The share is the trailing mean over *window* rounds since *start*. It is reached in the first round from which it
    stays at *share* or above for *hold* rounds, or to the end of the log if *hold* rounds are left, no sooner than a
    full window after *start*: two lucky first rounds are not adoption.

    Args:
        played: (n,), 1 where the model was chosen, else 0.
        start: First round in which it could be chosen, in [0, n).
        share: In (0, 1].
        window: Rounds, >= 1.
        hold: Rounds, >= 1.
    """
    if not 0.0 < share <= 1.0:
        raise MetricError("share", "in (0, 1]", share)
    mean = trailing_mean(_since(played, start), window)
    return _first_held(mean >= share - 1e-12, warm=window, hold=hold)


def recovery_rounds(
    reward: npt.ArrayLike, *, start: int, reference: float, tolerance: float = 0.03, memory: int = 100, hold: int = 100
) -> int | None:
    """Return how many rounds after a change the smoothed reward is within *tolerance* of a reference and stays there.

    The smoothed reward is the exponential mean m_t = m_{t-1} + (r_t - m_{t-1}) / min(t, memory), t from *start*: a
    plain mean until *memory* rounds have passed. Recovered is m_t >= (1 - tolerance) reference for *hold* rounds.

    Args:
        reward: (n,).
        start: Round of the change, in [0, n).
        reference: Mean reward after the change of what one could have, e.g. the best static policy there; > 0.
        tolerance: In [0, 1).
        memory: Rounds, >= 1.
        hold: Rounds, >= 1.

    Returns:
        Rounds, None if it never recovers.
    """
    if not reference > 0.0:
        raise MetricError("reference", "> 0", reference)
    if not 0.0 <= tolerance < 1.0:
        raise MetricError("tolerance", "in [0, 1)", tolerance)
    smoothed = exponential_mean(_since(reward, start), memory)
    return _first_held(smoothed >= (1.0 - tolerance) * reference, warm=memory, hold=hold)


def recovery_ratio(reward: npt.ArrayLike, *, before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return the mean reward in rounds *after* over that in rounds *before*, both half-open ranges [start, stop).

    P3 / P1 in ParetoBandit (arXiv:2604.00136), where a change in phase 2 is undone in phase 3.

    Raises:
        MetricError: An empty range, one outside the log, or a mean of 0 before.
    """
    r = finite_vector("reward", reward)
    for name, (start, stop) in (("before", before), ("after", after)):
        if not 0 <= start < stop <= r.size:
            raise MetricError(name, f"a non-empty range within 0..{r.size}", (start, stop))
    base = float(r[before[0] : before[1]].mean())
    if base == 0.0:
        raise MetricError("before", "a mean reward other than 0", base)
    return float(r[after[0] : after[1]].mean()) / base


def exponential_mean(values: npt.ArrayLike, memory: int) -> Float64:
    """Return m_t = m_{t-1} + (v_t - m_{t-1}) / min(t, memory), t = 1..n; *memory* >= 1."""
    v = finite_vector("values", values)
    if memory < 1:
        raise MetricError("memory", ">= 1", memory)
    out = np.empty(v.size)
    mean = 0.0
    for t, value in enumerate(v.tolist(), start=1):
        mean += (value - mean) / min(t, memory)
        out[t - 1] = mean
    return out


def _since(values: npt.ArrayLike, start: int) -> Float64:
    v = finite_vector("values", values)
    if not 0 <= start < v.size:
        raise MetricError("start", f"in 0..{v.size - 1}", start)
    return v[start:]


def _first_held(good: npt.NDArray[np.bool_], *, warm: int, hold: int) -> int | None:
    if hold < 1:
        raise MetricError("hold", ">= 1", hold)
    # Length of the run of good rounds that starts in each round.
    run = 0
    first: int | None = None
    for t in range(good.size - 1, -1, -1):
        run = run + 1 if good[t] else 0
        if run >= hold and t + 1 >= warm:
            first = t
    return first
