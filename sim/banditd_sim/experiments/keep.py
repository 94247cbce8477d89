"""Keep: the folder of an experiment. What is finished is there whole, what is not is not there at all.

config.json                     every setting, the data's fingerprints, versions: what the folder is about
cells/DATASET/SCENARIO/POLICY/BUDGET/seeds-A-B.parquet      per-round table of these seeds
cells/.../seeds-A-B.json        their figures; written last, so that its presence means finished
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from banditd_sim.datasets import log_fingerprint
from banditd_sim.environments.errors import SimError
from banditd_sim.experiments.config import Experiment, to_plain
from banditd_sim.experiments.plan import Subject, Task
from banditd_sim.experiments.versions import versions
from banditd_sim.experiments.work import Result


class Folder:
    """The folder of one experiment; made if absent.

    Args:
        path: Where.
        experiment: What is run.
        subjects: On what.

    Raises:
        SimError: `OTHER_CONFIG`: it holds another experiment. The message names what differs.
    """

    def __init__(self, path: Path, experiment: Experiment, subjects: list[Subject]) -> None:
        self.path = path
        self._experiment = experiment
        self._subjects = subjects
        self.about = _about(experiment, subjects)
        config = path / "config.json"
        if config.exists():
            _compare(json.loads(config.read_text()), self.about, config)
        else:
            if path.exists() and any(path.iterdir()):
                raise SimError(
                    str(path), "an empty folder, or one of this experiment", "other files", reason="NOT_OURS"
                )
            path.mkdir(parents=True, exist_ok=True)
            write_whole(config, json.dumps(self.about, indent=1).encode() + b"\n")

    def is_finished(self, task: Task) -> bool:
        """Return whether a task's result is there."""
        return self._at(task).with_suffix(".json").exists()

    def store(self, task: Task, result: Result) -> None:
        """Write a task's result."""
        at = self._at(task)
        at.parent.mkdir(parents=True, exist_ok=True)
        subject = self._subjects[task.dataset]
        write_table(at.with_suffix(".parquet"), _table(result, subject))
        write_whole(at.with_suffix(".json"), json.dumps(result.figures, allow_nan=False).encode() + b"\n")

    def figures(self, task: Task) -> list[dict[str, Any]]:
        """Return the figures of a finished task, one dictionary per seed."""
        found: list[dict[str, Any]] = json.loads(self._at(task).with_suffix(".json").read_text())
        return found

    def rounds(self, task: Task, columns: list[str]) -> dict[str, Any]:
        """Return columns of a finished task's rounds as arrays; `model` as indices."""
        table = pq.read_table(self._at(task).with_suffix(".parquet"), columns=columns)
        found = {}
        for name in columns:
            column = table.column(name).combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = column.chunk(0)
            if isinstance(column, pa.DictionaryArray):
                column = column.indices
            found[name] = column.to_numpy(zero_copy_only=False)
        return found

    def _at(self, task: Task) -> Path:
        arena = self._subjects[task.dataset].arena
        scenario = self._experiment.scenarios[task.scenario].name
        return self.path / "cells" / task.path(arena.name, scenario)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(content)
    new.replace(path)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file whole; equal tables give equal bytes."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, new, compression="zstd")
    new.replace(path)


def _table(result: Result, subject: Subject) -> pa.Table:
    columns = {}
    for name, values in result.columns.items():
        if name in {"model", "rival"}:
            ids = pa.array(subject.arena.model_ids)
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int16)), ids)
        else:
            # NaN is "not known", which Parquet has a word for.
            columns[name] = pa.array(values, from_pandas=True)
    return pa.table(columns)


def _about(experiment: Experiment, subjects: list[Subject]) -> dict[str, Any]:
    return {
        "experiment": to_plain(experiment),
        "datasets": [
            {
                "name": subject.arena.name,
                "fingerprint": subject.arena.fingerprint,
                "models": list(subject.arena.model_ids),
                "warm_prompts": len(subject.parts.warm),
                "warm_log_rounds": 0 if subject.past is None else len(subject.past),
                "warm_log_fingerprint": "" if subject.past is None else log_fingerprint(subject.past),
                "learn_prompts": len(subject.parts.learn),
                "measured_prompts": len(subject.parts.test),
                "left_out_prompts": subject.left_out_count,
                "revealed": "outcome" if subject.arena.comparisons is None else "comparison",
                "costs": subject.arena.costs,
            }
            for subject in subjects
        ],
        "versions": versions(),
    }


def _compare(old: dict[str, Any], new: dict[str, Any], config: Path) -> None:
    """Refuse to go on with another experiment; names the first difference."""
    # Through JSON, so that tuples and lists are the same.
    different = _difference(old, json.loads(json.dumps(new)), "")
    if different is not None:
        path, had, has = different
        raise SimError(f"{config}: {path}", f"{had!r}, as the folder was begun", repr(has), reason="OTHER_CONFIG")


def _difference(old: Any, new: Any, path: str) -> tuple[str, Any, Any] | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            found = _difference(old.get(key), new.get(key), f"{path}.{key}" if path else key)
            if found is not None:
                return found
        return None
    return None if old == new else (path, old, new)
