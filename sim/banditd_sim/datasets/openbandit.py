"""Open Bandit logs: which of K items was shown to whom, with which probability, and whether it was clicked.

Two forms with one meaning. The original, a CSV file:

    item_id                   action       model_ids are the ids as texts
    click                     reward       0 or 1
    propensity_score          propensity   in (0, 1], of the item at its position
    position                  context      one-hot, where there is more than one
    user_feature_0, …         context      one-hot, in order of the values
    user-item_affinity_0, …   context      as they are, if *affinity*

The shared one, Parquet: `propensity` for `propensity_score`, a column `policy` that tells two logging policies apart,
and `affinity_items`, `affinity_values` as sparse lists.

K is told by items_CAMPAIGN.parquet or item_context.csv beside the log, if there; by the log's own items if not.

`write_open_bandit` writes the original form. What a log has that the form has not goes into columns of our own, which
the authors' loader ignores and ours reads: context_0, …, category, cost_usd; the models' names are the column `name` of
item_context.csv.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from banditd_sim.datasets.columns import Columns
from banditd_sim.datasets.errors import DatasetError, log_refused, row_of
from banditd_sim.datasets.files import read_columns, required
from banditd_sim.ope.arrays import Float32, Float64, Int64, first_bad
from banditd_sim.ope.errors import LogError
from banditd_sim.ope.log import LoggedRounds

_ITEM_CONTEXT: Final = "item_context.csv"
_NUMBERED: Final = re.compile(r"(user_feature|user-item_affinity|context)_\d+")
# The logs have tens of values per feature. Thousands are an id, which as a context says nothing of the next user.
_VALUES_MAX: Final = 512
_EPOCH: Final = "1970-01-01 00:00:00"


def load_open_bandit(
    path: Path, *, policy: str = "", position: int | None = None, affinity: bool = False
) -> LoggedRounds:
    """Read a log.

    Args:
        path: A .csv or .parquet file.
        policy: Logging policy of the shared form, "random" or "bts"; may be empty where the file holds one alone.
        position: Read only the rounds at this position; None means all.
        affinity: Whether affinities are part of the context.

    Raises:
        DatasetError: the file is absent, cut off or malformed, or a policy must be named; the message names file, row
            and column.
    """
    columns = read_columns(path, lambda names: _chosen(path.name, names, affinity=affinity))
    item_ids, model_ids = _items(path, columns)
    columns = columns.take(_rows(columns, policy, position))
    score = "propensity_score" if "propensity_score" in columns else "propensity"
    propensity = columns.numbers(score, least=0.0, most=1.0, gaps=False)
    row = first_bad(propensity == 0.0)
    if row >= 0:
        raise columns.refuse(row, score, "a number in (0, 1]", 0.0)
    try:
        return LoggedRounds(
            action=columns.indices("item_id", item_ids, "an item of the list of items"),
            reward=columns.numbers("click", least=0.0, most=1.0, gaps=False),
            propensity=propensity,
            model_ids=tuple(model_ids),
            context=_context(columns, len(model_ids), affinity=affinity),
            cost=columns.numbers("cost_usd", least=0.0) if "cost_usd" in columns else None,
            category=_whole(columns, "category") if "category" in columns else None,
        )
    except LogError as error:
        raise log_refused(columns, error) from error


def write_open_bandit(log: LoggedRounds, folder: Path, *, campaign: str = "all") -> Path:
    """Write CAMPAIGN.csv and item_context.csv in the original form; returns the former's path.

    Args:
        log: Every reward observed and in [0, 1]; every model eligible in every round, for the form knows no other.
        folder: Made if absent; files in it are replaced.
        campaign: Stem of the file.

    Raises:
        DatasetError: the form cannot hold the log.
        OSError: the folder cannot be written.
    """
    file = f"{campaign}.csv"
    row = first_bad(~((log.reward >= 0.0) & (log.reward <= 1.0)))
    if row >= 0:
        raise DatasetError(row_of(file, row), "click", "an observed reward in [0, 1]", log.reward[row])
    if log.eligible is not None and not log.eligible.all():
        row = first_bad(~log.eligible)
        raise DatasetError(row_of(file, row), "item_id", "all models eligible, as the form has no other", "fewer")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _ITEM_CONTEXT).open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["", "item_id", "item_feature_0", "name"])
        writer.writerows([k, k, 0.0, name] for k, name in enumerate(log.model_ids))
    width = 0 if log.context is None else log.context.shape[1]
    with (folder / file).open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        header = ["", "timestamp", "item_id", "position", "click", "propensity_score"]
        header += ["category"] if log.category is not None else []
        header += ["cost_usd"] if log.cost is not None else []
        writer.writerow([*header, *(f"context_{j}" for j in range(width))])
        for i in range(len(log)):
            fields: list[Any] = [i, _EPOCH, int(log.action[i]), 1, float(log.reward[i]), float(log.propensity[i])]
            fields += [int(log.category[i])] if log.category is not None else []
            fields += [_field(float(log.cost[i]))] if log.cost is not None else []
            writer.writerow([*fields, *(() if log.context is None else log.context[i].tolist())])
    return folder / file


def _field(value: float) -> Any:
    return "" if np.isnan(value) else value


def _chosen(file: str, names: list[str], *, affinity: bool) -> list[str]:
    score = "propensity" if "propensity" in names and "propensity_score" not in names else "propensity_score"
    further = ["policy", "position", "category", "cost_usd"]
    further += [name for name in names if _NUMBERED.fullmatch(name) and (affinity or "affinity" not in name)]
    further += ["affinity_items", "affinity_values"] if affinity else []
    return required(file, names, ("item_id", "click", score), further)


def _rows(columns: Columns, policy: str, position: int | None) -> Int64:
    kept = np.ones(columns.count, dtype=np.bool_)
    if "policy" in columns:
        policies = np.array(columns.texts("policy"))
        there = sorted(set(policies.tolist()))
        if not policy and len(there) > 1:
            raise DatasetError(columns.file, "policy", "the choice of one policy", f"several: {', '.join(there)}")
        if policy and policy not in there:
            raise DatasetError(columns.file, "policy", f"one of {', '.join(there)}", repr(policy))
        kept &= policies == (policy or there[0])
    elif policy:
        raise DatasetError(columns.file, "policy", "a column policy to choose by", "none")
    if position is not None:
        if "position" not in columns:
            raise DatasetError(columns.file, "position", "a column position to choose by", "none")
        positions = columns.numbers("position", least=0.0, gaps=False)
        kept &= positions == position
        if not kept.any():
            there = sorted(str(int(value)) for value in np.unique(positions))
            raise DatasetError(columns.file, "position", f"one of {', '.join(there)}", position)
    return np.flatnonzero(kept).astype(np.int64)


def _items(path: Path, columns: Columns) -> tuple[list[str], list[str]]:
    """Return the ids of the items and the names of the models."""
    listed = path.with_name(f"items_{path.stem.removeprefix('log_')}.parquet")
    if not listed.exists():
        listed = path.with_name(_ITEM_CONTEXT)
    source = columns
    if listed.exists():
        source = read_columns(listed, lambda names: required(listed.name, names, ("item_id",), ("name",)))
    if source is columns:
        ids = sorted(set(columns.texts("item_id")), key=lambda item: (len(item), item))
        return ids, ids
    ids = source.ids("item_id")
    return ids, source.ids("name") if "name" in source else ids


def _whole(columns: Columns, name: str) -> Int64:
    values = columns.numbers(name, least=0.0, gaps=False)
    row = first_bad(values != np.floor(values))
    if row >= 0:
        raise columns.refuse(row, name, "a whole number", values[row])
    return values.astype(np.int64)


def _context(columns: Columns, items_count: int, *, affinity: bool) -> Float32 | None:
    parts: list[Any] = []
    for name in columns.values:
        if name.startswith("user_feature_") or name == "position":
            parts += _one_hot(columns, name)
        elif name.startswith(("context_", "user-item_affinity_")):
            parts.append(columns.numbers(name, least=-np.inf, gaps=False).astype(np.float32))
    if affinity and "affinity_items" in columns:
        parts += list(_affinities(columns, items_count).T)
    return np.stack(parts, axis=1) if parts else None


def _one_hot(columns: Columns, name: str) -> list[Float32]:
    texts = columns.texts(name, blank="")
    values = sorted(set(texts), key=lambda value: (len(value), value))
    if len(values) > _VALUES_MAX:
        raise DatasetError(columns.file, name, f"at most {_VALUES_MAX} different values", len(values))
    if len(values) == 1:  # a constant says nothing
        return []
    codes = np.array(texts)
    return [(codes == value).astype(np.float32) for value in values]


def _affinities(columns: Columns, items_count: int) -> Float64:
    dense = np.zeros((columns.count, items_count))
    items, values = columns.objects("affinity_items"), columns.objects("affinity_values")
    for row, (at, what) in enumerate(zip(items, values, strict=True)):
        if not isinstance(at, list) or not isinstance(what, list) or len(at) != len(what):
            raise columns.refuse(row, "affinity_values", "as many values as affinity_items", "another number")
        if any(not isinstance(item, int) or not 0 <= item < items_count for item in at):
            raise columns.refuse(row, "affinity_items", f"items of 0..{items_count - 1}", "another")
        if not np.isfinite(np.array(what, dtype=np.float64)).all():
            raise columns.refuse(row, "affinity_values", "finite numbers", "another")
        dense[row, at] = what
    return dense
