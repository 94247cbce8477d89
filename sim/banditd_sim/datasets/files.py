"""Files of rows: Parquet, CSV and JSON to columns, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from banditd_sim.datasets.columns import Columns
from banditd_sim.datasets.errors import DatasetError, row_of, shown

SUFFIXES: Final = (".parquet", ".csv", ".json", ".jsonl", ".ndjson")
PICKLES: Final = (".pkl", ".pickle")
# A logged answer can be long; the module's own limit is 128 KiB.
_FIELD_CHARS_MAX: Final = 1 << 28


def column_names(path: Path) -> list[str]:
    """Return the columns of a Parquet or CSV file, or the keys of the first object of a JSON file.

    Raises:
        DatasetError: there is no such file, or it is none of these.
    """
    check_file(path)
    if path.suffix == ".parquet":
        return [str(name) for name in _opened(path).schema_arrow.names]
    if path.suffix == ".csv":
        return _header(path)[0]
    _, record = next(_json_records(path))
    return list(record)


def read_columns(path: Path, choose: Callable[[list[str]], Sequence[str]], *, empty: bool = False) -> Columns:
    """Read the columns that *choose* picks of all names.

    Args:
        path: A file whose name ends in .parquet, .csv, .json (a list of objects) or .jsonl (an object per line).
        choose: From the names that are there to those that are read; raises DatasetError where one is missing. Of a
            JSON file each object's names count, and what an object lacks is None.
        empty: Whether a file without rows is an answer.

    Raises:
        DatasetError: the file is absent, cut off, empty or of another form.
    """
    check_file(path)
    if path.suffix == ".parquet":
        columns = _read_parquet(path, choose)
    elif path.suffix == ".csv":
        columns = _read_csv(path, choose)
    else:
        columns = _read_json(path, choose)
    if columns.count == 0 and not empty:
        raise DatasetError(path.name, "", "at least one row", "none")
    return columns


def required(file: str, names: Sequence[str], wanted: Sequence[str], optional: Sequence[str] = ()) -> list[str]:
    """Return *wanted* and those of *optional* that are among *names*.

    Raises:
        DatasetError: one of *wanted* is not.
    """
    for name in wanted:
        if name not in names:
            there = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            raise DatasetError(file, "", f"a column {name}", f"only {there}" if names else "none")
    return [*wanted, *(name for name in optional if name in names)]


def check_file(path: Path) -> None:
    """Refuse what is no file, or a file of a form that is not read.

    Raises:
        DatasetError: says which.
    """
    if not path.is_file():
        raise DatasetError(str(path), "", "a file", "a folder" if path.is_dir() else "none")
    if path.suffix in PICKLES:
        got = "a pickle, which runs whatever code its maker put in it; save it with pandas' to_parquet, and load that"
        raise DatasetError(path.name, "", "a Parquet or CSV file", got)
    if path.suffix not in SUFFIXES:
        raise DatasetError(path.name, "", f"a name that ends in one of {', '.join(SUFFIXES)}", path.suffix or "none")


def _opened(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(path.name, "", "a whole Parquet file", error) from error


def _read_parquet(path: Path, choose: Callable[[list[str]], Sequence[str]]) -> Columns:
    with _opened(path) as file:
        names = [str(name) for name in file.schema_arrow.names]
        chosen = list(choose(names))
        twice = [name for name in chosen if names.count(name) > 1]
        if twice:
            raise DatasetError(path.name, "", "distinct columns", f"{twice[0]!r} twice")
        try:
            table = file.read(columns=chosen)
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(path.name, "", "a whole Parquet file", error) from error
    return Columns(path.name, table.num_rows, {name: table[name].combine_chunks() for name in chosen})


def _header(path: Path) -> tuple[list[str], int]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            names = next(reader)
        except StopIteration:
            raise DatasetError(path.name, "", "a header and rows", "an empty file") from None
        except csv.Error as error:
            raise DatasetError(path.name, "", "a header of CSV", error) from error
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error
    return names, len(names)


def _not_utf8(path: Path) -> DatasetError:
    # The reader decodes ahead of the row that it returns, so the line is looked up.
    with path.open("rb") as file:
        for line, content in enumerate(file, start=1):
            try:
                content.decode()
            except UnicodeDecodeError as error:
                return DatasetError(f"{path.name}:{line}", "", "UTF-8", f"byte {error.start}: {error.reason}")
    return DatasetError(path.name, "", "UTF-8", "a character that is cut at the end")


def _read_csv(path: Path, choose: Callable[[list[str]], Sequence[str]]) -> Columns:
    # Not pyarrow's reader: it takes a file that ends inside quotes for a whole one.
    csv.field_size_limit(_FIELD_CHARS_MAX)
    names, width = _header(path)
    chosen = list(choose(names))
    for name in chosen:
        if names.count(name) > 1:
            raise DatasetError(path.name, "", "distinct columns", f"{name!r} twice")
    places = [names.index(name) for name in chosen]
    values: list[list[str]] = [[] for _ in chosen]
    row = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        next(reader)
        try:
            for fields in reader:
                if not fields:  # a blank line
                    continue
                if len(fields) != width:
                    raise DatasetError(row_of(path.name, row), "", f"{width} fields, as in the header", len(fields))
                for column, place in zip(values, places, strict=True):
                    column.append(fields[place])
                row += 1
        except csv.Error as error:
            raise DatasetError(row_of(path.name, row), "", "a whole row of CSV", error) from error
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error
    return Columns(path.name, row, dict(zip(chosen, values, strict=True)))


def _read_json(path: Path, choose: Callable[[list[str]], Sequence[str]]) -> Columns:
    records = list(_json_records(path))
    names = list(dict.fromkeys(name for _, record in records for name in record))
    chosen = choose(names)
    values = {name: [record.get(name) for _, record in records] for name in chosen}
    lines = path.suffix != ".json"
    # Blank lines would shift the count; then rows are told instead.
    dense = lines and bool(records) and records[-1][0] == len(records)
    return Columns(path.name, len(records), values, first_line=1 if dense else 0)


def _json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line, or place in the list, from 1, and object."""
    if path.suffix == ".json":
        found = parse_json(path.name, path.read_bytes())
        if not isinstance(found, list):
            raise DatasetError(path.name, "", "a list of objects", shown(found))
        for row, record in enumerate(found):
            if not isinstance(record, dict):
                raise DatasetError(row_of(path.name, row), "", "an object", shown(record))
            yield row + 1, record
        if not found:
            raise DatasetError(path.name, "", "at least one row", "none")
        return
    empty = True
    with path.open("rb") as file:
        for line, content in enumerate(file, start=1):
            if content.strip():
                empty = False
                yield line, parse_object(f"{path.name}:{line}", content)
    if empty:
        raise DatasetError(path.name, "", "at least one row", "none")


def parse_object(where: str, content: bytes) -> dict[str, Any]:
    """Return the JSON object of *content*. Raises DatasetError, as `parse_json`, and where it is something else."""
    record = parse_json(where, content)
    if not isinstance(record, dict):
        raise DatasetError(where, "", "a JSON object", shown(record))
    return record


def parse_json(where: str, content: bytes) -> Any:
    """Return what *content* says.

    Raises:
        DatasetError: it is no UTF-8, no JSON, or has a key twice in one object.
    """

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            keys = [key for key, _ in pairs]
            raise DatasetError(where, "", "each key once", f"{max(keys, key=keys.count)!r} more than once")
        return record

    try:
        return json.loads(content, object_pairs_hook=no_repeats)
    except UnicodeDecodeError as error:
        raise DatasetError(where, "", "UTF-8", f"byte {error.start}: {error.reason}") from error
    except json.JSONDecodeError as error:
        raise DatasetError(where, "", "JSON", f"character {error.pos}: {error.msg}") from error
    except DatasetError:
        raise
    except (RecursionError, ValueError) as error:  # nested too deep; a number of thousands of digits
        raise DatasetError(where, "", "JSON", error) from error
