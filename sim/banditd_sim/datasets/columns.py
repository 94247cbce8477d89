"""Columns: named columns of a file as arrays, with errors that name file, row and column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from banditd_sim.datasets.errors import DatasetError, row_of, shown
from banditd_sim.ope.arrays import Float64, Int64, first_bad

_WORDS: Final = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Columns:
    """The chosen columns of one file.

    Attributes:
        file: Name, for messages.
        count: Rows, at least 1.
        values: Per name a pyarrow array, or a list of what CSV (texts) or JSON (anything) holds.
        first_line: Line of the first row where rows are lines of JSON, so that messages name lines; 0 elsewhere.
        rows: Int64 (count,): where the rows stand in the file, from 0; None means all of it.
    """

    file: str
    count: int
    values: Mapping[str, Any]
    first_line: int = 0
    rows: Int64 | None = None

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def where(self, row: int) -> str:
        """Return the place of *row*, from 0, in words."""
        row = row if self.rows is None else int(self.rows[row])
        return f"{self.file}:{self.first_line + row}" if self.first_line else row_of(self.file, row)

    def take(self, rows: Int64) -> Columns:
        """Return the rows *rows*, which remember where they stand in the file."""
        values = {
            name: [column[row] for row in rows] if isinstance(column, list) else column.take(pa.array(rows))
            for name, column in self.values.items()
        }
        return replace(self, count=len(rows), values=values, rows=rows if self.rows is None else self.rows[rows])

    def refuse(self, row: int, name: str, expected: str, got: object) -> DatasetError:
        """Return the error that blames a cell."""
        return DatasetError(self.where(row), name, expected, got)

    def texts(self, name: str, *, blank: str | None = None) -> list[str]:
        """Return the texts of a column.

        Args:
            name: The column.
            blank: What an absent or empty text becomes; None means that it is refused. Whole numbers, as ids often
                are, become their digits.

        Raises:
            DatasetError: something else stands there.
        """
        texts = []
        for row, value in enumerate(self.objects(name)):
            if isinstance(value, int) and not isinstance(value, bool):
                texts.append(str(value))
            elif isinstance(value, str) and value:
                texts.append(value)
            elif blank is not None and (value is None or value == ""):
                texts.append(blank)
            else:
                raise self.refuse(row, name, "a text", "an empty one" if value == "" else shown(value))
        return texts

    def ids(self, name: str) -> list[str]:
        """Return `texts`, all of them different.

        Raises:
            DatasetError: one is absent, empty or stands there twice.
        """
        ids = self.texts(name)
        seen: dict[str, int] = {}
        for row, value in enumerate(ids):
            if seen.setdefault(value, row) != row:
                raise self.refuse(row, name, "distinct ids", f"{value!r}, already in {self.where(seen[value])}")
        return ids

    def numbers(self, name: str, *, least: float, most: float = math.inf, gaps: bool = True) -> Float64:
        """Return float64 (count,): the numbers of a column, NaN where there is none.

        Args:
            name: The column. A null, or an empty field of a CSV file, is a gap; NaN and infinity are refused, for they
                are what a failed computation leaves. True and false are 1 and 0.
            least: Least allowed number.
            most: Greatest allowed number; infinity means any finite one.
            gaps: Whether gaps are allowed.

        Raises:
            DatasetError: something else stands there.
        """
        values, missing = _numbers(self, name)
        bad = ~((values >= least) & (values <= most)) | np.isinf(values)
        bad &= ~missing
        if not gaps:
            bad |= missing
        row = first_bad(bad)
        if row >= 0:
            limit = f"in [{least:g}, {most:g}]" if most < math.inf else f">= {least:g}" if least > -math.inf else ""
            kind = "a number" if most < math.inf else "a finite number"
            raise self.refuse(row, name, f"{kind} {limit}".strip(), "nothing" if missing[row] else values[row])
        return values

    def indices(self, name: str, known: Sequence[str], source: str) -> Int64:
        """Return int64 (count,): where each name of a column stands in *known*.

        Args:
            name: The column.
            known: Distinct names.
            source: What they are, for the message, as in "a prompt_id of prompts.parquet".

        Raises:
            DatasetError: a name is absent or unknown.
        """
        column = self.values[name]
        if isinstance(column, list) or not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            column = pa.array(self.texts(name), pa.large_string())
        found = pc.index_in(column.cast(pa.large_string()), value_set=pa.array(known, pa.large_string()))
        if found.null_count:
            row = first_bad(_nulls(found))
            value = column[row].as_py()
            raise self.refuse(row, name, source, "nothing" if value is None else repr(value))
        indices: Int64 = found.to_numpy(zero_copy_only=False).astype(np.int64)
        return indices

    def objects(self, name: str) -> list[Any]:
        """Return the values of a column as Python objects, None where there is none."""
        column = self.values[name]
        values: list[Any] = column if isinstance(column, list) else column.to_pylist()
        return values


def _numbers(columns: Columns, name: str) -> tuple[Float64, Any]:
    column = columns.values[name]
    if not isinstance(column, list):
        kind = column.type
        if pa.types.is_boolean(kind):
            column = column.cast(pa.int8())
        if pa.types.is_integer(column.type) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            missing = _nulls(column)
            return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), missing
        column = column.to_pylist()
    values = np.full(len(column), np.nan)
    missing = np.zeros(len(column), dtype=np.bool_)
    for row, value in enumerate(column):
        if value is None or value == "":
            missing[row] = True
            continue
        number = _number(value)
        if number is None:
            # A short word cannot be a prompt, and shows what went wrong.
            got = repr(value) if isinstance(value, str) and len(value) <= 24 else shown(value)
            raise columns.refuse(row, name, "a number", got)
        values[row] = number
    return values, missing


def _number(value: object) -> float | None:
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _WORDS:
            return _WORDS[word]
        if "_" in word:  # Python reads 1_0 as 10
            return None
    elif not isinstance(value, bool | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _nulls(column: Any) -> Any:
    return column.is_null().to_numpy(zero_copy_only=False).astype(np.bool_)
