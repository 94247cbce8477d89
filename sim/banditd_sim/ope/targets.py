"""Simple target policies as pmfs (n, K)."""

from __future__ import annotations

import numpy as np

from banditd_sim.ope.arrays import Float64, Int64
from banditd_sim.ope.errors import LogError
from banditd_sim.ope.log import LoggedRounds


def constant_target(log: LoggedRounds, model: int | str) -> Float64:
    """Return the pmf of always playing one model, given by index or id; eligibility is checked by `evaluate`.

    Raises:
        LogError: `UNKNOWN_MODEL`.
    """
    index = log.model_ids.index(model) if isinstance(model, str) and model in log.model_ids else model
    if not isinstance(index, int) or not 0 <= index < log.models_count:
        raise LogError("target", f"one of {list(log.model_ids)} or an index", repr(model), reason="UNKNOWN_MODEL")
    pmf = np.zeros((len(log), log.models_count))
    pmf[:, index] = 1.0
    return pmf


def uniform_target(log: LoggedRounds) -> Float64:
    """Return the pmf that is uniform over the eligible models."""
    if log.eligible is None:
        return np.full((len(log), log.models_count), 1.0 / log.models_count)
    return np.asarray(log.eligible / log.eligible.sum(axis=1, keepdims=True), dtype=np.float64)


def category_target(log: LoggedRounds, table: Int64) -> Float64:
    """Return the pmf of playing *table[category]* in each round.

    Args:
        log: Rounds with a category.
        table: (categories,), each in [0, K).

    Raises:
        LogError: `NO_CATEGORY`, `UNKNOWN_MODEL`, or `UNKNOWN_CATEGORY` with the first such row.
    """
    if log.category is None:
        raise LogError("category", "a category per round", None, reason="NO_CATEGORY")
    if table.size == 0 or int(table.min()) < 0 or int(table.max()) >= log.models_count:
        raise LogError("table", f"models in 0..{log.models_count - 1}", table.tolist(), reason="UNKNOWN_MODEL")
    bad = (log.category < 0) | (log.category >= table.shape[0])
    if bad.any():
        row = int(np.argmax(bad))
        expected = f"0..{table.shape[0] - 1}"
        raise LogError("category", expected, log.category[row], row=row, reason="UNKNOWN_CATEGORY")
    pmf = np.zeros((len(log), log.models_count))
    pmf[np.arange(len(log)), table[log.category]] = 1.0
    return pmf
