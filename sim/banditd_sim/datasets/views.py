"""Parts of a table: some prompts, some models, a train and a test split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from banditd_sim.ope.arrays import Bool, Float64, Int64
from banditd_sim.table import MEASURES, Comparisons, Table, TableError, gaps, is_gaps

TRAIN: Final = "train"
TEST: Final = "test"


def split_table(table: Table, fraction: float, seed: int) -> Table:
    """Return the same prompts in the same order, each marked "train" or "test"; an earlier split is forgotten.

    A prompt's side depends on its id, *fraction* and *seed* alone: not on its place, nor on the other prompts, so that
    a grown data set keeps its sides, and a greater *fraction* keeps what was in train.

    Args:
        table: The table.
        fraction: In (0, 1), the expected share of train.
        seed: Another seed gives another split.

    Raises:
        TableError: *fraction* is out of range, or one side is empty.
    """
    if not 0.0 < fraction < 1.0:
        raise TableError("split", "a fraction in (0, 1) of train", fraction)
    key = str(seed).encode()[:64]
    limit = int(fraction * 2.0**64)
    split = tuple(TRAIN if _hashed(key, prompt_id) < limit else TEST for prompt_id in table.prompt_ids)
    if len(set(split)) < 2:
        raise TableError(
            "split", "prompts on both sides", f"all {len(split)} in {split[0]}; take another fraction or seed"
        )
    return replace(table, split=split, fingerprint="")


def _hashed(key: bytes, prompt_id: str) -> int:
    digest = hashlib.blake2b(prompt_id.encode("utf-8", "surrogatepass"), key=key, digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def take(table: Table, rows: Int64 | Bool | slice) -> Table:
    """Return the prompts *rows*, in that order, with the comparisons of these prompts.

    Args:
        table: The table.
        rows: Distinct row numbers, a mask, or a slice, whose arrays are views of the table's.

    Raises:
        TableError: no row is left, a row is taken twice, or there is no such row.
    """
    count = len(table)
    try:
        chosen = np.arange(count)[rows]
    except IndexError as error:
        raise TableError("rows", f"rows of 0..{count - 1} or a mask of {count}", error) from error
    if isinstance(rows, slice):
        picked: Int64 | slice = rows
    else:
        # A run of neighbours is a view as well.
        run = chosen.size > 0 and bool((np.diff(chosen) == 1).all())
        picked = slice(int(chosen[0]), int(chosen[-1]) + 1) if run else chosen
    quality, cost_usd, input_tokens, output_tokens, latency_ms = (
        gaps(chosen.size, len(table.models)) if is_gaps(array) else array[picked] for array in _measures(table)
    )
    return replace(
        table,
        prompt_ids=_taken(table.prompt_ids, chosen),
        texts=_taken(table.texts, chosen),
        category=_taken(table.category, chosen),
        split=_taken(table.split, chosen),
        quality=quality,
        cost_usd=cost_usd,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        latency_ms=latency_ms,
        embeddings=None if table.embeddings is None else table.embeddings[picked],
        comparisons=_comparisons_of_prompts(table.comparisons, chosen, count),
        fingerprint="",
    )


def select_models(table: Table, model_ids: Sequence[str]) -> Table:
    """Return the models *model_ids*, in that order, with the comparisons between them; prompts stay, measured or not.

    Neighbouring columns are views of the table's.

    Raises:
        TableError: a name is unknown or named twice, or fewer than two are left.
    """
    known = {model_id: k for k, model_id in enumerate(table.model_ids)}
    for model_id in model_ids:
        if model_id not in known:
            raise TableError("models", f"one of {', '.join(known)}", repr(model_id))
    columns = np.array([known[model_id] for model_id in model_ids], dtype=np.int64)
    run = columns.size > 0 and bool((np.diff(columns) == 1).all())
    picked = slice(int(columns[0]), int(columns[-1]) + 1) if run else columns
    quality, cost_usd, input_tokens, output_tokens, latency_ms = (
        gaps(len(table), columns.size) if is_gaps(array) else array[:, picked] for array in _measures(table)
    )
    return replace(
        table,
        quality=quality,
        cost_usd=cost_usd,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        latency_ms=latency_ms,
        models=tuple(table.models[k] for k in columns),
        comparisons=_comparisons_of_models(table.comparisons, columns, len(known)),
        fingerprint="",
    )


def _measures(table: Table) -> list[Float64]:
    return [getattr(table, name) for name in MEASURES]


def _taken(names: tuple[str, ...], chosen: Int64) -> tuple[str, ...]:
    return tuple(names[i] for i in chosen) if names else ()


def _comparisons_of_prompts(comparisons: Comparisons | None, chosen: Int64, count: int) -> Comparisons | None:
    if comparisons is None:
        return None
    if np.unique(chosen).size < chosen.size:
        # One prompt's comparisons cannot belong to two rows; prompt_ids would be refused as well.
        raise TableError("rows", "each row once", f"{chosen.size - np.unique(chosen).size} repeated")
    new_row = np.full(count, -1, dtype=np.int64)
    new_row[chosen] = np.arange(chosen.size)
    kept = new_row[comparisons.prompt] >= 0
    return _kept(replace(comparisons, prompt=new_row[comparisons.prompt]), kept)


def _comparisons_of_models(comparisons: Comparisons | None, columns: Int64, count: int) -> Comparisons | None:
    if comparisons is None:
        return None
    new_column = np.full(count, -1, dtype=np.int64)
    new_column[columns] = np.arange(columns.size)
    a, b = new_column[comparisons.model_a], new_column[comparisons.model_b]
    return _kept(replace(comparisons, model_a=a, model_b=b), (a >= 0) & (b >= 0))


def _kept(comparisons: Comparisons, kept: Bool) -> Comparisons | None:
    if not kept.any():
        return None
    return Comparisons(
        prompt=comparisons.prompt[kept],
        model_a=comparisons.model_a[kept],
        model_b=comparisons.model_b[kept],
        winner=comparisons.winner[kept],
        judge=tuple(comparisons.judge[i] for i in np.flatnonzero(kept)),
        strength_a=comparisons.strength_a[kept],
    )
