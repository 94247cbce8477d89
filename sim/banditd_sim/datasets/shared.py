"""The project's own form: a folder of prompts, outcomes, comparisons, embeddings and prices.

    prompts.parquet       prompt_id      prompt_ids     distinct
                          text           texts          may be absent as a column, not in a row
                          category       category       "" where null or absent
                          split          split          "" where null or absent
    outcomes.parquet      prompt_id, model              at most one row per pair; a pair without a row is a gap
                          quality        quality        in [0, 1]
                          cost_usd       cost_usd       >= 0
                          input_tokens   input_tokens   >= 0
                          output_tokens  output_tokens  >= 0
                          latency_s      latency_ms     >= 0, times 1,000
    comparisons.parquet   prompt_id, model_a, model_b
                          winner         winner         a, b, tie or both_bad
                          judge          judge          "" where null or absent
                          strength_a     strength_a     in [0, 1]
    embeddings.npy        (a row per prompt)            embeddings: float16
    models.json           MODEL.input_usd_per_1m, MODEL.output_usd_per_1m    models: prices; null or absent is unknown

`prompts.parquet` and one of outcomes and comparisons must be there; the rest may be absent. A null is a gap; a NaN is
an error. Further columns are not read. Models stand in the order of models.json, or by name without it; those of
models.json that nothing is known of are left out. A model that models.json does not list is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from banditd_sim.datasets.columns import Columns
from banditd_sim.datasets.errors import DatasetError, shown, table_refused
from banditd_sim.datasets.files import parse_object, read_columns, required
from banditd_sim.datasets.vectors import read_embeddings
from banditd_sim.ope.arrays import Float64, Int64, first_bad
from banditd_sim.table import MEASURES, WINNERS, Comparisons, Float16, Table, TableError, TableModel, gaps

PROMPTS: Final = "prompts.parquet"
OUTCOMES: Final = "outcomes.parquet"
COMPARISONS: Final = "comparisons.parquet"
EMBEDDINGS: Final = "embeddings.npy"
MODELS: Final = "models.json"
_COLUMN_OF: Final = {name: "latency_s" if name == "latency_ms" else name for name in MEASURES}


def load_shared(folder: Path, *, name: str = "", embedding_column: str = "") -> Table:
    """Read a folder of the form above.

    Args:
        folder: The folder.
        name: Of the table; the folder's where empty.
        embedding_column: Column of prompts.parquet with a list of numbers per prompt, to be taken as embeddings in
            place of embeddings.npy; empty for that file.

    Raises:
        DatasetError: a file is absent, cut off or malformed; the message names file, row and column.
    """
    prompts = _read(folder, PROMPTS, ("prompt_id",), ("text", "category", "split", embedding_column))
    assert prompts is not None
    prompt_ids = prompts.ids("prompt_id")
    outcomes = _read(folder, OUTCOMES, ("prompt_id", "model", "quality"), tuple(_COLUMN_OF.values()), optional=True)
    comparisons = _read(
        folder, COMPARISONS, ("prompt_id", "model_a", "model_b", "winner"), ("judge", "strength_a"), optional=True
    )
    if outcomes is None and comparisons is None:
        raise DatasetError(str(folder), "", f"a file {OUTCOMES} or {COMPARISONS}", "neither")
    models = _models(folder, outcomes, comparisons)
    model_ids = [model.model_id for model in models]
    measures = _measures(outcomes, prompt_ids, model_ids)
    try:
        return Table(
            name=name or folder.resolve().name,
            prompt_ids=tuple(prompt_ids),
            texts=tuple(prompts.texts("text")) if "text" in prompts else (),
            category=_names(prompts, "category"),
            split=_names(prompts, "split"),
            models=models,
            embeddings=_embeddings(folder, prompts, embedding_column),
            comparisons=None if comparisons is None else _comparisons(comparisons, prompt_ids, model_ids),
            quality=measures["quality"],
            cost_usd=measures["cost_usd"],
            input_tokens=measures["input_tokens"],
            output_tokens=measures["output_tokens"],
            latency_ms=measures["latency_ms"],
        )
    except TableError as error:
        place = {"embeddings": EMBEDDINGS, "models": MODELS}.get(error.field, PROMPTS)
        raise table_refused(str(folder / place), error) from error


def _read(
    folder: Path, file: str, wanted: tuple[str, ...], further: tuple[str, ...], *, optional: bool = False
) -> Columns | None:
    if optional and not (folder / file).exists():
        return None
    further = tuple(name for name in further if name and name not in wanted)
    return read_columns(folder / file, lambda names: required(file, names, wanted, further))


def _names(prompts: Columns, column: str) -> tuple[str, ...]:
    return tuple(prompts.texts(column, blank="")) if column in prompts else ("",) * prompts.count


def _models(folder: Path, outcomes: Columns | None, comparisons: Columns | None) -> tuple[TableModel, ...]:
    known: set[str] = set()
    for columns, names in ((outcomes, ("model",)), (comparisons, ("model_a", "model_b"))):
        if columns is not None:
            for name in names:
                known.update(value for value in pc.unique(columns.values[name]).to_pylist() if isinstance(value, str))
    path = folder / MODELS
    if not path.exists():
        return tuple(TableModel(model_id) for model_id in sorted(known))
    try:
        listed = parse_object(MODELS, path.read_bytes())
    except OSError as error:
        raise DatasetError(str(path), "", "a file that can be read", error.strerror) from error
    models = []
    for model_id, facts in listed.items():
        if not isinstance(facts, dict):
            raise DatasetError(MODELS, model_id, "an object", shown(facts))
        prices = [_price(model_id, key, facts.get(key)) for key in ("input_usd_per_1m", "output_usd_per_1m")]
        models.append(TableModel(model_id, *prices))
    # Listed ones alone: a name in the outcomes that is not listed is told with its row, by `indices`.
    return tuple(model for model in models if model.model_id in known)


def _price(model_id: str, key: str, value: object) -> float:
    if value is None:
        return float("nan")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0.0 <= value <= 1e300:  # type: ignore[operator]
        raise DatasetError(MODELS, f"{model_id}.{key}", "a finite number >= 0", shown(value))
    return float(value)  # type: ignore[arg-type]


def _measures(outcomes: Columns | None, prompt_ids: list[str], model_ids: list[str]) -> dict[str, Float64]:
    shape = (len(prompt_ids), len(model_ids))
    measures = {name: gaps(*shape) for name in MEASURES}
    if outcomes is None:
        return measures
    prompt = outcomes.indices("prompt_id", prompt_ids, f"a prompt_id of {PROMPTS}")
    model = outcomes.indices("model", model_ids, f"a model of {MODELS}")
    cell = prompt * shape[1] + model
    _refuse_repeats(outcomes, cell)
    for name, column in _COLUMN_OF.items():
        if column not in outcomes:
            continue
        values = outcomes.numbers(column, least=0.0, most=1.0 if name == "quality" else np.inf)
        if np.isnan(values).all():
            continue
        filled = np.full(shape, np.nan)
        filled.ravel()[cell] = values * 1000.0 if name == "latency_ms" else values
        measures[name] = filled
    if np.isnan(measures["quality"]).all():
        raise DatasetError(OUTCOMES, "quality", "at least one measured quality", "only nulls")
    return measures


def _refuse_repeats(outcomes: Columns, cell: Int64) -> None:
    order = np.argsort(cell, kind="stable")
    same = np.flatnonzero(np.diff(cell[order]) == 0)
    if same.size:
        # Of all repetitions, the one that stands first in the file.
        second = order[same + 1]
        i = int(np.argmin(second))
        model = outcomes.objects("model")[second[i]]
        got = f"one more of {model!r}, after {outcomes.where(int(order[same[i]]))}"
        raise outcomes.refuse(int(second[i]), "model", "one row per prompt and model", got)


def _comparisons(columns: Columns, prompt_ids: list[str], model_ids: list[str]) -> Comparisons:
    model_a = columns.indices("model_a", model_ids, f"a model of {MODELS}")
    model_b = columns.indices("model_b", model_ids, f"a model of {MODELS}")
    row = first_bad(model_a == model_b)
    if row >= 0:
        raise columns.refuse(row, "model_b", "another model than model_a", repr(model_ids[model_b[row]]))
    missing = np.full(columns.count, np.nan)
    return Comparisons(
        prompt=columns.indices("prompt_id", prompt_ids, f"a prompt_id of {PROMPTS}"),
        model_a=model_a,
        model_b=model_b,
        winner=columns.indices("winner", WINNERS, f"one of {', '.join(WINNERS)}"),
        judge=tuple(columns.texts("judge", blank="")) if "judge" in columns else ("",) * columns.count,
        strength_a=columns.numbers("strength_a", least=0.0, most=1.0) if "strength_a" in columns else missing,
    )


def _embeddings(folder: Path, prompts: Columns, column: str) -> Float16 | None:
    if column:
        if column not in prompts:
            raise DatasetError(PROMPTS, "", f"a column {column}", "none")
        return read_embeddings(prompts, column)
    path = folder / EMBEDDINGS
    if not path.exists():
        return None
    try:
        array: Any = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DatasetError(EMBEDDINGS, "", "a whole array of numbers", error) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise DatasetError(EMBEDDINGS, "", "an array of numbers", getattr(array, "dtype", "an archive"))
    if array.ndim != 2 or array.shape[0] != prompts.count:
        raise DatasetError(EMBEDDINGS, "", f"{prompts.count} rows, one per row of {PROMPTS}", f"shape {array.shape}")
    with np.errstate(over="ignore"):  # the table refuses what becomes infinite
        return array.astype(np.float16, copy=False)
