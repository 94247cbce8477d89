"""What a loader or a writer refuses, and why.

ValueError
└── DatasetError              base: `<file and row>: <column>: expected <what>, got <what>`
    └── ParetoBanditError     of the package's own files
"""

from __future__ import annotations

from typing import Protocol

from banditd_sim.ope.errors import LogError
from banditd_sim.table import TableError


class DatasetError(ValueError):
    """The data is absent, malformed, or has no place in the form that is asked for.

    Args:
        where: File, and row or line where there is one. Rows of a table count from 1 and the header is none; lines of
            a text file count from 1.
        field: Column, or path of the field in the line; empty where the file or row as a whole is to blame.
        expected: What would have been right.
        got: What was found; never a prompt.
    """

    def __init__(self, where: str, field: str, expected: str, got: object) -> None:
        super().__init__(f"{where}: {field}{': ' if field else ''}expected {expected}, got {got}")
        self.where = where
        self.field = field


class Place(Protocol):
    """A file that knows what its rows are called."""

    @property
    def file(self) -> str:
        """The name."""

    def where(self, row: int) -> str:
        """Return the place of *row*, from 0, in words."""


def row_of(file: str, row: int) -> str:
    """Return the place of the *row*th row, from 0, of *file*, in words."""
    return f"{file} row {row + 1}"


def table_refused(file: str, error: TableError) -> DatasetError:
    """Return what a table refused, told of *file*, whose rows are the table's."""
    where = file if error.row is None else row_of(file, error.row)
    return DatasetError(where, error.field, error.expected, error.got)


def log_refused(source: Place, error: LogError) -> DatasetError:
    """Return what a log refused, told of the file *source* that its rounds are the rows of."""
    _, _, rest = str(error).partition(": expected ")
    expected, _, got = rest.partition(", got ")
    return DatasetError(source.file if error.row is None else source.where(error.row), error.field, expected, got)


def shown(value: object) -> str:
    """Return *value* for a message: numbers as they are, of anything else the kind, for a prompt may be private."""
    if value is None:
        return "nothing"
    if isinstance(value, bool | int | float):
        return str(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge number"
    return {"str": "a text", "list": "a list", "dict": "an object"}.get(type(value).__name__, type(value).__name__)
