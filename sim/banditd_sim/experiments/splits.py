"""Splits: which rows of a data set are history, which only teach, which are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from banditd_sim.environments.errors import SimError
from banditd_sim.experiments.config import DataConfig
from banditd_sim.ope.arrays import Bool, Int64
from banditd_sim.table import Table


@dataclass(frozen=True, slots=True)
class Parts:
    """Disjoint rows of a table, ascending.

    Attributes:
        warm: Int64, the history, all outcomes known; may be empty.
        learn: Int64, played before the measured rows; may be empty.
        test: Int64, measured; not empty.
    """

    warm: Int64
    learn: Int64
    test: Int64


def parts_of(table: Table, config: DataConfig) -> Parts:
    """Return the parts that *config* asks for.

    Where `warm_split` is wanted and the table has no such split, `warm_fraction` makes one of all its prompts.

    Raises:
        SimError: A split that is not there, or a part that is empty.
    """
    split = np.array(table.split, dtype=np.str_)
    warm = _rows(split, config.warm_split)
    if not len(warm) and config.warm_fraction is not None:
        return _by_fraction(table, config)
    if config.warm_split and not len(warm):
        raise _absent(table, "warm_split", config.warm_split, split)
    learn = _rows(split, config.learn_split)
    if config.learn_split and not len(learn):
        raise _absent(table, "learn_split", config.learn_split, split)
    taken = np.zeros(len(split), np.bool_)
    taken[warm] = True
    taken[learn] = True
    if config.test_split:
        test = _rows(split, config.test_split)
        if not len(test):
            raise _absent(table, "test_split", config.test_split, split)
    else:
        test = np.flatnonzero(~taken).astype(np.int64)
    if taken[test].any() or len(np.intersect1d(warm, learn)):
        raise SimError("data", "splits that do not overlap", config, reason="OVERLAP")
    if not len(test):
        raise SimError("data.test_split", f"prompts of {table.name} to measure", "none", reason="EMPTY")
    return Parts(warm, learn, test)


def _by_fraction(table: Table, config: DataConfig) -> Parts:
    assert config.warm_fraction is not None
    count = len(table.prompt_ids)
    size = round(config.warm_fraction * count)
    if not 0 < size < count:
        raise SimError("data.warm_fraction", f"a share that splits {count} prompts", config.warm_fraction)
    # By prompt id, so that the split does not depend on the order of the file.
    by_id = np.argsort(np.array(table.prompt_ids, dtype=np.str_), kind="stable")
    rng = np.random.Generator(np.random.PCG64(config.split_seed))
    chosen: Bool = np.zeros(count, np.bool_)
    chosen[by_id[rng.permutation(count)[:size]]] = True
    return Parts(
        np.flatnonzero(chosen).astype(np.int64), np.zeros(0, np.int64), np.flatnonzero(~chosen).astype(np.int64)
    )


def _rows(split: np.ndarray[tuple[int, ...], np.dtype[np.str_]], name: str) -> Int64:
    return np.flatnonzero(split == name).astype(np.int64) if name else np.zeros(0, np.int64)


def _absent(table: Table, field: str, name: str, split: np.ndarray[tuple[int, ...], np.dtype[np.str_]]) -> SimError:
    there = ", ".join(sorted({value for value in split.tolist() if value})) or "none"
    hint = "; --warm-fraction makes one" if field == "warm_split" else ""
    return SimError(f"data.{field}", f"a split of {table.name} ({there})", f"{name!r}{hint}", reason="NO_SPLIT")
