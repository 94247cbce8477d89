"""A file of history: JSON lines or Parquet, read row by row; what is wrong is named by line and column."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from banditd_client import (
    ComparedPrompt,
    Comparison,
    HistoryRow,
    LeaderboardEntry,
    LeaderboardGuess,
    PastDecision,
    Score,
    ScoredPrompt,
    Winner,
)

_SCORE_FIELDS: Final = ("quality", "cost_usd", "input_tokens", "output_tokens", "latency_ms")
_WHOLE_FIELDS: Final = ("input_tokens", "output_tokens")
_PROMPT_FIELDS: Final = ("embedding", "input_tokens", "category")
# Columns of each kind of row, by the one that tells it from the others.
_COLUMNS: Final = {
    "scores": {*_PROMPT_FIELDS, "scores"},
    "comparison": {*_PROMPT_FIELDS, "model_a", "model_b", "winner", "judge", "strength", "first"},
    "decision": {*_PROMPT_FIELDS, *_SCORE_FIELDS, "model", "propensity", "probabilities"},
    "score": {*_PROMPT_FIELDS, *_SCORE_FIELDS, "model"},
    "leaderboard": {"model", "strength", "quality", "rating"},
}
_LEADERBOARD_MAX: Final = 256
_PARQUET_ROWS: Final = 1024
_ROW_OF: Final = re.compile(r"^rows\[(\d+)\](?:\.leaderboard\.entries\[(\d+)\])?\.?(.*)$")


class HistoryFile:
    """A file of history.

    Args:
        path: Of the file; Parquet where it ends in `.parquet`, else JSON lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Lines of each row that was read: several where they make up one leaderboard.
        self._lines: list[list[int]] = []

    def digest(self) -> str:
        """Return 32 hexadecimal digits over the file's bytes."""
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        except OSError as error:
            raise self._unreadable(error) from error

    def rows(self) -> Iterator[HistoryRow]:
        """Yield the rows.

        Raises:
            ClickException: The file cannot be read or a line is wrong; the message names file, line and column.
        """
        entries: list[LeaderboardEntry] = []
        lines: list[int] = []
        for line, value in self._values():
            row = _Line(f"{self._path}: line {line}", value).row()
            if isinstance(row, LeaderboardEntry):
                entries.append(row)
                lines.append(line)
            if entries and (not isinstance(row, LeaderboardEntry) or len(entries) == _LEADERBOARD_MAX):
                self._lines.append(lines)
                yield LeaderboardGuess(entries)
                entries, lines = [], []
            if not isinstance(row, LeaderboardEntry):
                self._lines.append([line])
                yield row
        if entries:
            self._lines.append(lines)
            yield LeaderboardGuess(entries)

    def place_of(self, field: str) -> str:
        """Return file and line of a field of a request, `rows[i]…`; empty where it is of none."""
        found = _ROW_OF.match(field)
        if found is None:
            return ""
        row, entry = int(found.group(1)), int(found.group(2) or 0)
        return f"{self._path}: line {self._lines[row][entry]}"

    def _values(self) -> Iterator[tuple[int, object]]:
        """Yield number and value of each line, from 1 on."""
        return self._parquet_values() if self._path.suffix == ".parquet" else self._json_values()

    def _json_values(self) -> Iterator[tuple[int, object]]:
        try:
            with self._path.open(encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    if not line.strip():
                        continue
                    try:
                        yield number, json.loads(line)
                    except (ValueError, RecursionError) as error:
                        raise click.ClickException(f"{self._path}: line {number}: not valid JSON") from error
        except OSError as error:
            raise self._unreadable(error) from error
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{self._path}: expected UTF-8 text, got other bytes") from error

    def _parquet_values(self) -> Iterator[tuple[int, object]]:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise click.ClickException(
                f"{self._path}: reading Parquet needs pyarrow: pip install 'banditd[parquet]'"
            ) from error
        try:
            file = pq.ParquetFile(self._path)
            number = 0
            for batch in file.iter_batches(_PARQUET_ROWS):
                for value in batch.to_pylist(maps_as_pydicts="strict"):
                    number += 1
                    yield number, value
        except OSError as error:
            raise self._unreadable(error) from error
        except pa.ArrowException as error:
            raise click.ClickException(f"{self._path}: not a readable Parquet file") from error

    def _unreadable(self, error: OSError) -> click.ClickException:
        return click.ClickException(f"{self._path}: cannot be read: {error.strerror or error}")


class _Line:
    """One line of a file, on its way to a row.

    Args:
        place: File and line, for messages.
        value: What stands there.
    """

    def __init__(self, place: str, value: object) -> None:
        self._place = place
        if not isinstance(value, dict):
            raise click.ClickException(f"{place}: expected an object, got {_kind(value)}")
        # A column of a Parquet file that a row has nothing in is null.
        self._value: dict[str, Any] = {name: v for name, v in value.items() if v is not None}

    def row(self) -> HistoryRow | LeaderboardEntry:
        """Return the row; of a leaderboard, its entry."""
        kind = self._kind_of_row()
        unknown = sorted(self._value.keys() - _COLUMNS[kind])
        if unknown:
            raise self._wrong(unknown[0], f"one of {', '.join(sorted(_COLUMNS[kind]))}, since this is a {kind}", "it")
        if kind == "leaderboard":
            quality, rating = self._number("quality"), self._number("rating")
            return LeaderboardEntry(self._text("model"), self._needed("strength"), quality, rating)
        prompt: dict[str, Any] = {
            "embedding": self._embedding(),
            "input_tokens": self._whole("input_tokens"),
            "category": self._text("category") if "category" in self._value else "",
        }
        if kind == "scores":
            return ScoredPrompt(scores=self._scores(), **prompt)
        if kind == "score":
            return ScoredPrompt(scores=[self._score()], **prompt)
        if kind == "comparison":
            return ComparedPrompt(comparison=self._comparison(), **prompt)
        return PastDecision(
            outcome=self._score(),
            propensity=self._needed("propensity"),
            probabilities={
                name: _as_number(self, f"probabilities.{name}", v) for name, v in self._map("probabilities")
            },
            **prompt,
        )

    def _kind_of_row(self) -> str:
        value = self._value
        if "scores" in value:
            return "scores"
        if "model_a" in value or "winner" in value:
            return "comparison"
        if "propensity" in value:
            return "decision"
        if "model" in value:
            return "leaderboard" if "embedding" not in value and "strength" in value else "score"
        raise click.ClickException(f"{self._place}: expected scores, model, or model_a and model_b, got none of them")

    def _scores(self) -> list[Score]:
        scores = []
        for model, score in self._map("scores"):
            path = f"scores.{model}"
            if not isinstance(score, Mapping):
                scores.append(Score(model, quality=_as_number(self, path, score)))
                continue
            known = {name: v for name, v in score.items() if v is not None}
            unknown = sorted(known.keys() - set(_SCORE_FIELDS))
            if unknown:
                raise self._wrong(f"{path}.{unknown[0]}", f"one of {', '.join(_SCORE_FIELDS)}", "it")
            fields: dict[str, Any] = {name: _as_field(self, f"{path}.{name}", name, v) for name, v in known.items()}
            scores.append(Score(model, **fields))
        return scores

    def _score(self) -> Score:
        fields: dict[str, Any] = {
            name: _as_field(self, name, name, self._value[name]) for name in _SCORE_FIELDS if name in self._value
        }
        return Score(self._text("model"), **fields)

    def _comparison(self) -> Comparison:
        said = self._text("winner")
        try:
            winner = Winner(said.upper())
        except ValueError:
            raise self._wrong("winner", "a, b, tie or both_bad", repr(said)) from None
        comparison = Comparison(
            self._text("model_a"),
            self._text("model_b"),
            winner,
            judge=self._text("judge") if "judge" in self._value else "",
            strength=self._number("strength"),
            first=self._text("first") if "first" in self._value else "",
        )
        if comparison.first not in ("", comparison.model_a, comparison.model_b):
            raise self._wrong("first", "one of the two models", repr(comparison.first))
        return comparison

    def _embedding(self) -> list[float]:
        values = self._value.get("embedding")
        if not isinstance(values, list) or not values:
            raise self._wrong("embedding", "a list of numbers", _kind(values))
        for i, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self._wrong(f"embedding[{i}]", "a number", _kind(value))
        return values

    def _map(self, name: str) -> list[tuple[str, Any]]:
        """Return the pairs of an object; a null in it is what a Parquet file has where a row has nothing."""
        value = self._value.get(name, {})
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object by model", _kind(value))
        return [(key, v) for key, v in value.items() if v is not None]

    def _text(self, name: str) -> str:
        value = self._value.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text", _kind(value))
        return value

    def _number(self, name: str) -> float | None:
        return _as_number(self, name, self._value[name]) if name in self._value else None

    def _needed(self, name: str) -> float:
        return _as_number(self, name, self._value.get(name))

    def _whole(self, name: str) -> int | None:
        return None if name not in self._value else int(_as_field(self, name, name, self._value[name]))

    def _wrong(self, column: str, expected: str, got: str) -> click.ClickException:
        return click.ClickException(f"{self._place}: {column}: expected {expected}, got {got}")


def _as_number(line: _Line, path: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise line._wrong(path, "a number", _kind(value))  # noqa: SLF001 - the same module
    return float(value)


def _as_field(line: _Line, path: str, name: str, value: object) -> float | int:
    """Return the value of a field of a score."""
    number = _as_number(line, path, value)
    if name not in _WHOLE_FIELDS:
        return number
    if not number.is_integer():
        raise line._wrong(path, "a whole number", f"{number:g}")  # noqa: SLF001 - the same module
    return int(number)


def _kind(value: object) -> str:
    """Return what a value is, for messages; never the value."""
    names = {type(None): "nothing", bool: "a truth value", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")
