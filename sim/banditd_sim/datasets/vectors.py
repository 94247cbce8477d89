"""Vectors: a column with a list of numbers per row, as one matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from banditd_sim.datasets.columns import Columns
from banditd_sim.datasets.errors import shown
from banditd_sim.ope.arrays import Float32, first_bad
from banditd_sim.table import Float16


def read_vectors(columns: Columns, name: str) -> Float32:
    """Return float32 (count, D), finite: the lists of the column *name*, all of one length D >= 1.

    Raises:
        DatasetError: a list is absent, has another length than the first, or holds something else than finite numbers.
    """
    column = columns.values[name]
    if isinstance(column, list):
        for row, value in enumerate(column):
            if not isinstance(value, list):
                raise columns.refuse(row, name, "a list of numbers", shown(value))
        try:
            column = pa.array(column, pa.list_(pa.float32()))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise columns.refuse(0, name, "lists of numbers", error) from error
    if not _is_list_of_numbers(column.type):
        raise columns.refuse(0, name, "a list of numbers", column.type)
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    row = first_bad((lengths != lengths[0]) | (lengths == 0))
    if row >= 0:
        raise columns.refuse(row, name, f"{lengths[0] or 'some'} numbers", f"{lengths[row]}")
    flat = column.flatten()
    if flat.null_count:
        row = first_bad(flat.is_null().to_numpy(zero_copy_only=False)) // int(lengths[0])
        raise columns.refuse(row, name, "numbers", "nothing among them")
    matrix: Float32 = flat.to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(columns.count, -1)
    row = first_bad(~np.isfinite(matrix))
    if row >= 0:
        raise columns.refuse(row, name, "finite numbers", "NaN or infinity among them")
    return matrix


def read_embeddings(columns: Columns, name: str) -> Float16:
    """Return `read_vectors` as a table holds it.

    Raises:
        DatasetError: as `read_vectors`, or a number is beyond float16.
    """
    vectors = read_vectors(columns, name)
    row = first_bad(np.abs(vectors) > np.finfo(np.float16).max)
    if row >= 0:
        raise columns.refuse(row, name, "numbers within float16", "a greater one")
    return vectors.astype(np.float16)


def _is_list_of_numbers(kind: Any) -> bool:
    lists: bool = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and bool(pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
