"""RouterBench's wide table: a row per prompt, some columns per model.

    sample_id              prompt_ids    distinct
    prompt                 texts         may be absent
    eval_name              category      may be absent
    MODEL                  quality       in [0, 1]; true and false are 1 and 0
    MODEL|total_cost       cost_usd      >= 0

A model is what has a column MODEL|total_cost. An empty cell is a gap; NaN in a Parquet file, where null would be the
gap, is an error. Not read: MODEL|model_response, and oracle_model_to_route_to, which is computed from the outcomes and
would give the answer away. The table has no split, no tokens and no latency.

Its authors publish pickles (.pkl). They are refused: a pickle runs whatever code its maker put in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from banditd_sim.datasets.errors import DatasetError, table_refused
from banditd_sim.datasets.files import read_columns, required
from banditd_sim.datasets.vectors import read_embeddings
from banditd_sim.table import Table, TableError, TableModel, gaps

COST_SUFFIX: Final = "|total_cost"
RESPONSE_SUFFIX: Final = "|model_response"


def load_routerbench(path: Path, *, name: str = "", embedding_column: str = "") -> Table:
    """Read a wide table.

    Args:
        path: A .csv or .parquet file.
        name: Of the table; the file's stem where empty.
        embedding_column: Column with a list of numbers per prompt, to be taken as embeddings; empty for none.

    Raises:
        DatasetError: the file is absent, cut off or malformed; the message names file, row and column.
    """
    models: list[str] = []

    def choose(names: list[str]) -> list[str]:
        models.extend(wide_models(path.name, names))
        wanted = ["sample_id", *models, *(f"{model}{COST_SUFFIX}" for model in models)]
        wanted += [embedding_column] if embedding_column else []
        return required(path.name, names, wanted, ("prompt", "eval_name"))

    columns = read_columns(path, choose)
    shape = (columns.count, len(models))
    quality, cost_usd = np.empty(shape), np.empty(shape)
    for k, model in enumerate(models):
        quality[:, k] = columns.numbers(model, least=0.0, most=1.0)
        cost_usd[:, k] = columns.numbers(f"{model}{COST_SUFFIX}", least=0.0)
    if np.isnan(quality).all():
        raise DatasetError(path.name, models[0], "at least one measured quality", "only gaps")
    try:
        return Table(
            name=name or path.stem,
            prompt_ids=tuple(columns.ids("sample_id")),
            texts=tuple(columns.texts("prompt")) if "prompt" in columns else (),
            category=tuple(columns.texts("eval_name", blank="")) if "eval_name" in columns else ("",) * shape[0],
            split=("",) * shape[0],
            models=tuple(TableModel(model) for model in models),
            quality=quality,
            cost_usd=cost_usd,
            input_tokens=gaps(*shape),
            output_tokens=gaps(*shape),
            latency_ms=gaps(*shape),
            embeddings=read_embeddings(columns, embedding_column) if embedding_column else None,
        )
    except TableError as error:
        raise table_refused(path.name, error) from error


def wide_models(file: str, names: list[str]) -> list[str]:
    """Return the models of a wide table with the columns *names*, in their order.

    Raises:
        DatasetError: there are fewer than two, or one lacks its column of quality or cost.
    """
    models = [name.removesuffix(COST_SUFFIX) for name in names if name.endswith(COST_SUFFIX)]
    for name in names:
        model = name.removesuffix(RESPONSE_SUFFIX)
        if model != name and model not in models:
            raise DatasetError(file, "", f"a column {model}{COST_SUFFIX} beside {name}", "none")
    for model in models:
        if model not in names:
            raise DatasetError(file, "", f"a column {model} beside {model}{COST_SUFFIX}", "none")
    if len(models) < 2:
        raise DatasetError(file, "", f"two or more models, each with a column MODEL{COST_SUFFIX}", len(models))
    return models
