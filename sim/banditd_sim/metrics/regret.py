"""Regret: what a policy lost against a comparator, summed over rounds.

R = sum_t (comparator's utility - received utility). Against the per-prompt oracle it is never negative; against the
best constant or the best category table, both chosen in hindsight on the same rounds, it can be.
(Auer, Cesa-Bianchi and Fischer, Machine Learning 47 (2002); Bubeck and Cesa-Bianchi, 2012, arXiv:1204.5721.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from banditd_sim.metrics.arrays import Float64, Int64, finite_vector, same_length, table
from banditd_sim.metrics.errors import MetricError


def oracle_regret(utility: npt.ArrayLike, received: npt.ArrayLike) -> Float64:
    """Return the cumulative regret (n,) against the best model of each prompt: cumsum(max_k u_tk - received_t).

    Args:
        utility: (n, K), nan where a model was not measured.
        received: (n,), what the policy got.
    """
    full, got = _both(utility, received)
    return np.asarray(np.cumsum(np.nanmax(full, axis=1) - got))


def constant_regret(utility: npt.ArrayLike, received: npt.ArrayLike) -> Float64:
    """Return the cumulative regret (n,) against the constant model with the greatest mean utility in hindsight.

    Only models measured in every round are candidates: a mean over other prompts is no comparison.

    Raises:
        MetricError: If no model was measured in every round.
    """
    full, got = _both(utility, received)
    return np.asarray(np.cumsum(full[:, best_constant(full)] - got))


def best_constant(utility: npt.ArrayLike) -> int:
    """Return the index of the model, measured in every round, with the greatest mean utility; the first of several.

    Raises:
        MetricError: If no model was measured in every round.
    """
    full = table("utility", utility)
    whole = ~np.isnan(full).any(axis=0)
    if not whole.any():
        raise MetricError("utility", "a model that was measured in every round", "none")
    return int(np.argmax(np.where(whole, full.mean(axis=0), -np.inf)))


def category_regret(utility: npt.ArrayLike, received: npt.ArrayLike, category: npt.ArrayLike) -> Float64:
    """Return the cumulative regret (n,) against the best category table in hindsight (see `best_category_table`)."""
    full, got = _both(utility, received)
    labels = np.asarray(category, dtype=np.int64)
    same_length(utility=full, category=labels)
    chosen = best_category_table(full, labels)
    return np.asarray(np.cumsum(full[np.arange(labels.size), chosen[labels]] - got))


def best_category_table(utility: npt.ArrayLike, category: npt.ArrayLike) -> Int64:
    """Return for each category 0..max the model with the greatest mean utility there; -1 for an empty category.

    Args:
        utility: (n, K); a model is a candidate in a category if measured in all of its rounds.
        category: (n,), each >= 0.

    Raises:
        MetricError: A negative category, or one with no model measured throughout.
    """
    full = table("utility", utility)
    labels = np.asarray(category, dtype=np.int64)
    same_length(utility=full, category=labels)
    if int(labels.min()) < 0:
        raise MetricError(f"category[{int(np.argmin(labels))}]", ">= 0", int(labels.min()))
    chosen = np.full(int(labels.max()) + 1, -1, dtype=np.int64)
    for label in np.unique(labels):
        try:
            chosen[label] = best_constant(full[labels == label])
        except MetricError as error:
            message = f"in category {label}, a model that was measured in all its rounds"
            raise MetricError("utility", message, "none") from error
    return chosen


def _both(utility: npt.ArrayLike, received: npt.ArrayLike) -> tuple[Float64, Float64]:
    full, got = table("utility", utility), finite_vector("received", received)
    same_length(utility=full, received=got)
    return full, got
