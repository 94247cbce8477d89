"""A small reader of the shared form (prompts, outcomes, embeddings, models), for tests only: to a Table."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from banditd_sim.table import Table, TableModel


def read_shared(folder: Path, models: tuple[str, ...] | None = None) -> Table:
    """Return the table of a folder of the shared data; *models* picks some, in that order."""
    prompts = pq.read_table(folder / "prompts.parquet")
    outcomes = pq.read_table(folder / "outcomes.parquet")
    listed = json.loads((folder / "models.json").read_text())
    model_ids = models or tuple(sorted(set(outcomes.column("model").to_pylist())))
    ids = prompts.column("prompt_id").to_pylist()
    row_of, column_of = {one: i for i, one in enumerate(ids)}, {one: k for k, one in enumerate(model_ids)}
    columns = {
        name: np.full((len(ids), len(model_ids)), np.nan)
        for name in ("quality", "cost_usd", "input_tokens", "output_tokens", "latency_s")
    }
    for outcome in outcomes.to_pylist():
        k = column_of.get(outcome["model"])
        if k is not None:
            for name, values in columns.items():
                if outcome[name] is not None:
                    values[row_of[outcome["prompt_id"]], k] = outcome[name]
    prices = [listed.get(one, {}) for one in model_ids]
    return Table(
        name=folder.name,
        prompt_ids=tuple(ids),
        texts=tuple(prompts.column("text").to_pylist()),
        category=tuple(c or "" for c in prompts.column("category").to_pylist()),
        split=tuple(prompts.column("split").to_pylist()),
        models=tuple(
            TableModel(one, float(p.get("input_usd_per_1m", np.nan)), float(p.get("output_usd_per_1m", np.nan)))
            for one, p in zip(model_ids, prices, strict=True)
        ),
        quality=columns["quality"],
        cost_usd=columns["cost_usd"],
        input_tokens=columns["input_tokens"],
        output_tokens=columns["output_tokens"],
        latency_ms=1000.0 * columns["latency_s"],
        embeddings=np.load(folder / "embeddings.npy"),
        fingerprint=hashlib.blake2b((folder / "outcomes.parquet").read_bytes(), digest_size=16).hexdigest(),
    )
