"""Table: what is known of N prompts and K models, in memory. Every loader makes one; every replay reads one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from banditd_sim.ope.arrays import Float64, Int64, first_bad

Float16: TypeAlias = npt.NDArray[np.float16]
_Number = TypeVar("_Number", bound=np.generic)

# Who won a comparison, as in `Comparisons.winner`.
A_WON, B_WON, TIE, BOTH_BAD = range(4)
WINNERS: Final = ("a", "b", "tie", "both_bad")
MEASURES: Final = ("quality", "cost_usd", "input_tokens", "output_tokens", "latency_ms")


class TableError(ValueError):
    """A table that would be wrong: `<field>[<row>, <column>]: expected <what>, got <what>`.

    Args:
        field: Attribute of the table.
        expected: What would have been right.
        got: What was found.
        row: First bad row, from 0; None where the field as a whole is to blame.
        column: Model of the bad cell; empty where there is none.
    """

    def __init__(self, field: str, expected: str, got: object, *, row: int | None = None, column: str = "") -> None:
        place = "" if row is None else f"[{row}, {column!r}]" if column else f"[{row}]"
        super().__init__(f"{field}{place}: expected {expected}, got {got}")
        self.field = field
        self.row = row
        self.column = column
        self.expected = expected
        self.got = got


@dataclass(frozen=True, slots=True)
class TableModel:
    """A model of a table.

    Attributes:
        model_id: Its name.
        input_mtok_usd: USD per million input tokens; NaN where unknown.
        output_mtok_usd: USD per million output tokens; NaN where unknown.
    """

    model_id: str
    input_mtok_usd: float = float("nan")
    output_mtok_usd: float = float("nan")


@dataclass(frozen=True, slots=True)
class Comparisons:
    """M comparisons of two models each, in the order in which they were made; checked by the table that holds them.

    Attributes:
        prompt: Int64 (M,), in [0, N): row of the prompt.
        model_a: Int64 (M,), in [0, K): the model that was shown first.
        model_b: Int64 (M,), in [0, K), not *model_a*.
        winner: Int64 (M,): one of A_WON, B_WON, TIE, BOTH_BAD.
        judge: M names; empty where unknown.
        strength_a: Float64 (M,), in [0, 1]: how far the judge prefers a; NaN where it gave none.
    """

    prompt: Int64
    model_a: Int64
    model_b: Int64
    winner: Int64
    judge: tuple[str, ...]
    strength_a: Float64

    def __len__(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True, slots=True)
class Table:
    """N prompts by K models, with gaps: NaN is what was not measured. Checked when made, read-only afterwards.

    Arrays of the right type are viewed, not copied.

    Attributes:
        name: Of the data set.
        prompt_ids: N distinct ids.
        texts: N texts, or empty where there are none.
        category: N names; "" where unknown.
        split: N names like "train" and "test"; "" where there is no split.
        models: K >= 2 models with distinct names.
        quality: Float64 (N, K), in [0, 1].
        cost_usd: Float64 (N, K), >= 0: USD per call.
        input_tokens: Float64 (N, K), >= 0.
        output_tokens: Float64 (N, K), >= 0.
        latency_ms: Float64 (N, K), >= 0.
        embeddings: Float16 (N, D), finite, or None where the prompts have yet to be embedded.
        comparisons: Of these prompts and models, or None.
        fingerprint: 32 hexadecimal digits over the content, computed when empty: equal data sets have equal ones. The
            name is no part of it.

    Raises:
        TableError: names the field, the first bad row and its model, what was expected and what was found.
    """

    name: str
    prompt_ids: tuple[str, ...]
    texts: tuple[str, ...]
    category: tuple[str, ...]
    split: tuple[str, ...]
    models: tuple[TableModel, ...]
    quality: Float64
    cost_usd: Float64
    input_tokens: Float64
    output_tokens: Float64
    latency_ms: Float64
    embeddings: npt.NDArray[np.float16] | None = None
    comparisons: Comparisons | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        _check_names(self)
        for name in MEASURES:
            set_field(self, name, _measure(self, name))
        if self.embeddings is not None:
            set_field(self, "embeddings", _rows_of_numbers(self.embeddings, len(self.prompt_ids)))
        if self.comparisons is not None:
            set_field(self, "comparisons", _checked_comparisons(self.comparisons, self))
        if not self.fingerprint:
            set_field(self, "fingerprint", _fingerprint(self))

    def __len__(self) -> int:
        return len(self.prompt_ids)

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The K names."""
        return tuple(model.model_id for model in self.models)

    def rows_of(self, split: str) -> Int64:
        """Return the rows of *split*, ascending; none if there is no such split."""
        return np.flatnonzero(np.array(self.split, dtype=object) == split).astype(np.int64)


def gaps(prompts_count: int, models_count: int) -> Float64:
    """Return float64 (N, K), all NaN: one number in memory, whatever the size."""
    return np.broadcast_to(np.float64("nan"), (prompts_count, models_count))


def is_gaps(array: Float64) -> bool:
    """Return whether *array* was made by `gaps`: nothing of it is measured, and nothing of it is in memory."""
    return array.strides == (0, 0) and array.size > 0 and bool(np.isnan(array[0, 0]))


def _check_names(table: Table) -> None:
    count = len(table.prompt_ids)
    if count == 0:
        raise TableError("prompt_ids", "at least one prompt", "an empty table")
    for name in ("texts", "category", "split"):
        length = len(getattr(table, name))
        if length != count and not (name == "texts" and length == 0):
            raise TableError(name, f"{count} entries, as in prompt_ids", length)
    _check_distinct("prompt_ids", table.prompt_ids)
    if len(table.models) < 2:
        # With one model every policy is the same policy: no question is asked.
        raise TableError("models", "at least 2 models", len(table.models))
    _check_distinct("models", table.model_ids)
    for k, model in enumerate(table.models):
        for price in (model.input_mtok_usd, model.output_mtok_usd):
            if price < 0.0 or np.isinf(price):
                raise TableError("models", "prices that are finite and >= 0, or NaN", price, row=k)


def _check_distinct(field: str, names: tuple[str, ...]) -> None:
    seen: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name:
            raise TableError(field, "a name", "an empty one", row=row)
        if seen.setdefault(name, row) != row:
            raise TableError(field, "distinct names", f"{name!r}, already in row {seen[name]}", row=row)


def _measure(table: Table, name: str) -> Float64:
    shape = (len(table.prompt_ids), len(table.models))
    array: Float64 = np.asarray(getattr(table, name)).astype(np.float64, copy=False)
    if array.shape != shape:
        raise TableError(name, f"shape {shape}, prompts by models", array.shape)
    if is_gaps(array):
        return _read_only(array)
    # A NaN compares false on both sides: it is the gap.
    high = 1.0 if name == "quality" else np.finfo(np.float64).max
    bad = (array < 0.0) | (array > high)
    row = first_bad(bad)
    if row >= 0:
        k = int(np.argmax(bad[row]))
        expected = "a number in [0, 1]" if name == "quality" else "a finite number >= 0"
        raise TableError(name, f"{expected}, or NaN", array[row, k], row=row, column=table.models[k].model_id)
    return _read_only(array)


def _rows_of_numbers(embeddings: Float16, count: int) -> Float16:
    with np.errstate(over="ignore"):  # too large for float16 becomes inf, which is refused below
        array: Float16 = np.asarray(embeddings).astype(np.float16, copy=False)
    if array.ndim != 2 or array.shape[0] != count or array.shape[1] == 0:
        raise TableError("embeddings", f"shape ({count}, D), one row per prompt", array.shape)
    finite = np.isfinite(array)
    if not finite.all():
        row = first_bad(~finite)
        got = array[row][~finite[row]][0]
        raise TableError("embeddings", "finite numbers within float16", got, row=row)
    return _read_only(array)


def _checked_comparisons(c: Comparisons, table: Table) -> Comparisons:
    count = len(c.prompt)
    if count == 0:
        raise TableError("comparisons", "at least one comparison, or None", "none")
    limits = {"prompt": len(table.prompt_ids), "model_a": len(table.models), "model_b": len(table.models)}
    limits["winner"] = len(WINNERS)
    columns: dict[str, Int64] = {}
    for name, limit in limits.items():
        array = np.asarray(getattr(c, name))
        if array.shape != (count,) or array.dtype.kind not in "iu":
            raise TableError(f"comparisons.{name}", f"{count} whole numbers", f"{array.dtype} {array.shape}")
        row = first_bad((array < 0) | (array >= limit))
        if row >= 0:
            raise TableError(f"comparisons.{name}", f"0..{limit - 1}", array[row], row=row)
        columns[name] = _read_only(array.astype(np.int64, copy=False))
    row = first_bad(columns["model_a"] == columns["model_b"])
    if row >= 0:
        name = table.models[columns["model_a"][row]].model_id
        raise TableError("comparisons.model_b", "another model than model_a", repr(name), row=row)
    if len(c.judge) != count:
        raise TableError("comparisons.judge", f"{count} names", len(c.judge))
    strength: Float64 = np.asarray(c.strength_a).astype(np.float64, copy=False)
    if strength.shape != (count,):
        raise TableError("comparisons.strength_a", f"{count} numbers", strength.shape)
    row = first_bad((strength < 0.0) | (strength > 1.0))
    if row >= 0:
        raise TableError("comparisons.strength_a", "a number in [0, 1], or NaN", strength[row], row=row)
    return Comparisons(**columns, judge=tuple(c.judge), strength_a=_read_only(strength))


def _read_only(array: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    # A view: the caller's own array stays writable.
    view = array.view()
    view.setflags(write=False)
    return view


def _fingerprint(table: Table) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in ("prompt_ids", "texts", "category", "split"):
        _add_texts(digest, getattr(table, name))
    _add_texts(digest, table.model_ids)
    arrays: list[npt.NDArray[np.generic]] = [
        np.array([(model.input_mtok_usd, model.output_mtok_usd) for model in table.models], dtype=np.float64),
        *(getattr(table, name) for name in MEASURES),
    ]
    if table.embeddings is not None:
        arrays.append(table.embeddings)
    if table.comparisons is not None:
        c = table.comparisons
        arrays += [c.prompt, c.model_a, c.model_b, c.winner, c.strength_a]
        _add_texts(digest, c.judge)
    for array in arrays:
        add_array(digest, array)
    return digest.hexdigest()


def _add_texts(digest: hashlib.blake2b, texts: Iterable[str]) -> None:
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        # The length stands before the text, so that ("ab", "c") and ("a", "bc") differ.
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    digest.update(b"\xff" * 8)


def add_array(digest: hashlib.blake2b, array: npt.NDArray[np.generic]) -> None:
    """Add *array* to *digest*: its type, its shape and its numbers; every NaN counts as the same."""
    digest.update(f"{array.dtype.str} {array.shape}".encode())
    rows = max(1, (1 << 20) // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        part = array[start : start + rows]
        if part.dtype.kind == "f":
            part = np.where(np.isnan(part), part.dtype.type("nan"), part)
        digest.update(part.tobytes())
