"""Small tables and logs, and the files that hold them."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from banditd_sim.ope import LoggedRounds
from banditd_sim.table import A_WON, BOTH_BAD, Comparisons, Table, TableModel, gaps

PROMPTS = [
    {"prompt_id": "p1", "text": "One?", "category": "math", "split": "train"},
    {"prompt_id": "p2", "text": "Two?", "category": None, "split": "test"},
    {"prompt_id": "p3", "text": "Three?", "category": "code", "split": None},
]
OUTCOMES = [
    {"prompt_id": "p1", "model": "a", "quality": 0.5, "cost_usd": 0.25, "output_tokens": 7, "latency_s": 1.5},
    {"prompt_id": "p1", "model": "b", "quality": 1.0, "cost_usd": 2.0, "output_tokens": 8, "latency_s": 0.0},
    {"prompt_id": "p3", "model": "a", "quality": 0.0, "cost_usd": 0.0, "output_tokens": None, "latency_s": None},
]
COMPARISONS = [
    {"prompt_id": "p2", "model_a": "b", "model_b": "a", "winner": "a", "judge": "eve", "strength_a": 0.75},
    {"prompt_id": "p2", "model_a": "a", "model_b": "b", "winner": "both_bad", "judge": None, "strength_a": None},
]
MODELS = {
    "b": {"input_usd_per_1m": 1, "output_usd_per_1m": 2.5},
    "a": {},
    "unused": {"input_usd_per_1m": 3},
}


def table(**changes):
    """Return a table of three prompts and two models."""
    values = {
        "name": "made",
        "prompt_ids": ("p1", "p2", "p3"),
        "texts": ("One?", "Two?", "Three?"),
        "category": ("math", "", "code"),
        "split": ("train", "test", ""),
        "models": (TableModel("b", 1.0, 2.5), TableModel("a")),
        "quality": np.array([[1.0, 0.5], [np.nan, np.nan], [np.nan, 0.0]]),
        "cost_usd": np.array([[2.0, 0.25], [np.nan, np.nan], [np.nan, 0.0]]),
        "input_tokens": gaps(3, 2),
        "output_tokens": np.array([[8.0, 7.0], [np.nan, np.nan], [np.nan, np.nan]]),
        "latency_ms": np.array([[0.0, 1500.0], [np.nan, np.nan], [np.nan, np.nan]]),
        "embeddings": np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], np.float16),
        "comparisons": comparisons(),
    }
    return Table(**values | changes)


def comparisons(**changes):
    """Return two comparisons of the second prompt."""
    values = {
        "prompt": np.array([1, 1]),
        "model_a": np.array([0, 1]),
        "model_b": np.array([1, 0]),
        "winner": np.array([A_WON, BOTH_BAD]),
        "judge": ("eve", ""),
        "strength_a": np.array([0.75, np.nan]),
    }
    return Comparisons(**values | changes)


def write_parquet(path, rows, schema=None):
    """Write *rows*, dicts, to *path*."""
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def write_csv(path, rows):
    """Write *rows*, dicts, to *path*; None is an empty field."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_lines(path, records):
    """Write a line of JSON per record; texts stand as they are."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_shared(folder, *, prompts=PROMPTS, outcomes=OUTCOMES, comparisons=COMPARISONS, models=MODELS, rows=None):
    """Write a folder of the shared form; None leaves a file out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in (("prompts", prompts), ("outcomes", outcomes), ("comparisons", comparisons)):
        if records is not None:
            write_parquet(folder / f"{name}.parquet", records)
    if models is not None:
        (folder / "models.json").write_text(models if isinstance(models, str) else json.dumps(models))
    if rows is None:
        rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], np.float16)
    np.save(folder / "embeddings.npy", rows)
    return folder


def log(rounds=200, models=3, seed=0, **changes):
    """Return a log with everything that a log can have; a tenth of the rewards are not observed."""
    rng = np.random.default_rng(seed)
    eligible = rng.random((rounds, models)) < 0.8
    eligible[:, 1] = True
    eligible[0] = True
    pmf = np.where(eligible, rng.uniform(0.1, 1.0, (rounds, models)), 0.0)
    pmf /= pmf.sum(axis=1, keepdims=True)
    action = np.array([rng.choice(models, p=row) for row in pmf])
    reward = rng.integers(0, 5, rounds) / 4.0
    reward[rng.random(rounds) < 0.1] = np.nan
    cost = rng.lognormal(-8.0, 1.0, rounds)
    cost[::17] = np.nan
    values = {
        "action": action,
        "reward": reward,
        "propensity": pmf[np.arange(rounds), action],
        "model_ids": tuple(f"vendor/m{k}" for k in range(models)),
        "context": rng.standard_normal((rounds, 4)).astype(np.float16),
        "pmf": pmf,
        "eligible": eligible,
        "cost": cost,
        "category": rng.integers(0, 3, rounds),
        "decision_ids": [f"{i:032x}" for i in range(rounds)],
    }
    return LoggedRounds(**values | changes)


def same_log(one, other):
    """Whether two logs say the same, but for eligibility of all, which may be None."""
    for name in ("action", "reward", "propensity", "context", "pmf", "cost", "category"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None) or (a is not None and not np.array_equal(a, b, equal_nan=True)):
            return False
    eligible = [np.ones((len(log), log.models_count)) if log.eligible is None else log.eligible for log in (one, other)]
    return np.array_equal(*eligible) and one.model_ids == other.model_ids
