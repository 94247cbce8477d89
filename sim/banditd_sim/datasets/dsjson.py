"""Vowpal Wabbit's dsjson: a line of JSON per decision, with what came of it.

    _label_cost              reward        minus the cost
    _label_Action            action        place in c._multi, from 1
    _label_probability       propensity    in (0, 1]
    a, p                     pmf           p[i] is the probability of action a[i]; without p there is no pmf
    c._multi                 model_ids     Model.id or _tag of each action; without them, places: "1", "2", …
                             eligible      what a decision offered, where that differs between decisions
    c (but for _multi)       context       flattened, see below
    EventId                  decision_ids  may be absent
    _skipLearn               reward        NaN where true: the round was logged, but is not to be judged

Context: a number is a feature of its path, a text or a true is 1 at `path=text` or `path`, a list counts its places.
Names that begin with an underscore are no features, as in Vowpal Wabbit. Features of an action that change between
decisions are features of the context, per action; those that stay as they are say no more than the action's name.
More features than *features_max* are hashed to that many, with signs (Weinberger et al. 2009, arXiv:0902.2206).

Not read: Timestamp, Version, VWState, _labelIndex (checked against _label_Action), o (what _label_cost was made of).
Lines with RewardValue, which are rewards that found no decision, are passed over. `pdrop`, the share of decisions that
was not logged, must be the same in all lines.

`write_dsjson` writes keys in the order _label_cost, _label_probability, _label_Action, _labelIndex, _skipLearn,
Timestamp, Version, EventId, a, c, p, without spaces, the drawn action first in a: vw-estimators 0.2 finds them by their
offsets. What a log has that the form has not stands under names with an underscore, which are no features: c._category
and _cost_usd.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from banditd_sim.datasets.errors import DatasetError, log_refused, shown
from banditd_sim.datasets.files import parse_object
from banditd_sim.ope.arrays import Bool, Float32, Float64, first_bad
from banditd_sim.ope.errors import LogError
from banditd_sim.ope.log import LoggedRounds

_ID_PATHS: Final = (("Model", "id"), ("_tag",))
# 28 characters, as Vowpal Wabbit's services write it: vw-estimators relies on the length.
_EPOCH: Final = "1970-01-01T00:00:00.0000000Z"


@dataclass(slots=True)
class _Rounds:
    """What was read so far; lists with an entry per decision."""

    file: str
    lines: list[int] = field(default_factory=list)
    action: list[int] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    propensity: list[float] = field(default_factory=list)
    offered: list[list[int]] = field(default_factory=list)  # models, in order of a
    pmf: list[list[float] | None] = field(default_factory=list)  # as offered
    event_ids: list[str | None] = field(default_factory=list)
    category: list[int | None] = field(default_factory=list)
    cost_usd: list[float] = field(default_factory=list)
    place: dict[str, int] = field(default_factory=dict)  # of each model
    features: dict[tuple[str, str], int] = field(default_factory=dict)  # of each (model or "", path)
    cells: tuple[array[int], array[int], array[float]] = field(
        default_factory=lambda: (array("q"), array("q"), array("d"))
    )

    def where(self, row: int) -> str:
        """Return the place of *row*, from 0, in words."""
        return f"{self.file}:{self.lines[row]}"


def load_dsjson(
    path: Path,
    *,
    reward_min: float = 0.0,
    reward_max: float = 1.0,
    model_ids: Sequence[str] = (),
    features_max: int = 1024,
) -> LoggedRounds:
    """Read a log.

    Args:
        path: A file of lines; gzip if its name ends in .gz.
        reward_min: Least possible reward, minus the greatest cost.
        reward_max: Greatest possible reward.
        model_ids: All models, in the order wanted; empty for those of the file, in order of appearance.
        features_max: >= 1, greatest width of the context.

    Raises:
        DatasetError: the file is absent, cut off or malformed; the message names file, line and field.
    """
    rounds = _Rounds(path.name, place={model: k for k, model in enumerate(model_ids)})
    pdrop: object = None
    line_of: dict[object, int] = {}
    for line, content in _lines(path):
        where = f"{path.name}:{line}"
        record = parse_object(where, content)
        if "RewardValue" in record and "_label_cost" not in record:
            continue
        dropped = record.get("pdrop", 0.0)
        if rounds.lines and dropped != pdrop:
            raise DatasetError(where, "pdrop", f"{pdrop}, as before: weights are not supported", shown(dropped))
        pdrop = dropped
        event_id = record.get("EventId")
        if isinstance(event_id, str) and line_of.setdefault(event_id, line) != line:
            raise DatasetError(where, "EventId", "distinct ids", f"{event_id!r}, already in line {line_of[event_id]}")
        rounds.lines.append(line)
        _read(rounds, where, record, fixed=bool(model_ids))
    if not rounds.lines:
        raise DatasetError(path.name, "", "at least one decision", "none")
    return _logged(rounds, reward_min, reward_max, features_max)


def write_dsjson(log: LoggedRounds, path: Path) -> None:
    """Write *log*; a round whose reward was not observed has the cost 0 and `_skipLearn`.

    A model that is never eligible is not in the file. Numbers are written with all their digits.

    Raises:
        OSError: the file cannot be written.
    """
    everyone = np.arange(log.models_count)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as out:
        for i in range(len(log)):
            offered = everyone if log.eligible is None else np.flatnonzero(log.eligible[i])
            record = _written(log, i, offered.tolist())
            out.write(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")
    partial.replace(path)


def _written(log: LoggedRounds, i: int, offered: list[int]) -> dict[str, Any]:
    drawn = offered.index(int(log.action[i]))
    ranked = [drawn, *(j for j in range(len(offered)) if j != drawn)]
    observed = not np.isnan(log.reward[i])
    # 0 rather than -0.0, which vw-estimators would not take for a cost of nothing.
    cost = -float(log.reward[i]) if observed and log.reward[i] != 0.0 else 0
    context: dict[str, Any] = {}
    if log.category is not None:
        context["_category"] = int(log.category[i])
    if log.context is not None:
        context["x"] = log.context[i].tolist()
    context["_multi"] = [{"Model": {"id": log.model_ids[k]}} for k in offered]
    record: dict[str, Any] = {
        "_label_cost": cost,
        "_label_probability": float(log.propensity[i]),
        "_label_Action": drawn + 1,
        "_labelIndex": drawn,
    }
    if not observed:
        record["_skipLearn"] = True
    record |= {
        "Timestamp": _EPOCH,
        "Version": "1",
        "EventId": str(i) if log.decision_ids is None else str(log.decision_ids[i]),
        "a": [j + 1 for j in ranked],
        "c": context,
    }
    if log.pmf is not None:
        record["p"] = [float(log.pmf[i, offered[j]]) for j in ranked]
    if log.cost is not None and not np.isnan(log.cost[i]):
        record["_cost_usd"] = float(log.cost[i])
    return record


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.is_file():
        raise DatasetError(str(path), "", "a file", "a folder" if path.is_dir() else "none")
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        try:
            for line, content in enumerate(file, start=1):
                if content.strip():
                    yield line, content
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DatasetError(path.name, "", "a whole gzip file", error) from error


def _read(rounds: _Rounds, where: str, record: dict[str, Any], *, fixed: bool) -> None:
    for name in ("_label_ca", "_outcomes"):
        if name in record:
            raise DatasetError(where, name, "one action of several per line", "continuous actions or slots")
    skipped = record.get("_skipLearn", False) is True
    cost = _number(where, "_label_cost", record.get("_label_cost"))
    propensity = _number(where, "_label_probability", record.get("_label_probability"))
    if not 0.0 < propensity <= 1.0:
        raise DatasetError(where, "_label_probability", "a number in (0, 1]", propensity)
    context = record.get("c")
    if not isinstance(context, dict):
        raise DatasetError(where, "c", "an object", shown(context))
    ranked = record.get("a")
    if not isinstance(ranked, list) or not ranked:
        raise DatasetError(where, "a", "a list of actions", shown(ranked))
    multi = context.get("_multi", [{}] * len(ranked))
    if not isinstance(multi, list) or not all(isinstance(entry, dict) for entry in multi):
        raise DatasetError(where, "c._multi", "a list of objects, one per action", shown(multi))
    models = _models(rounds, where, multi, fixed=fixed)
    if any(type(action) is not int or not 1 <= action <= len(models) for action in ranked):
        raise DatasetError(where, "a", f"actions of 1..{len(models)}, as in c._multi", "another")
    if len(set(ranked)) < len(ranked):
        raise DatasetError(where, "a", "distinct actions", "one twice")
    drawn = record.get("_label_Action")
    if type(drawn) is not int or drawn not in ranked:
        raise DatasetError(where, "_label_Action", "one of the actions in a", shown(drawn))
    if record.get("_labelIndex", drawn - 1) != drawn - 1:
        raise DatasetError(where, "_labelIndex", f"{drawn - 1}, one less than _label_Action", record["_labelIndex"])
    rounds.action.append(models[drawn - 1])
    rounds.reward.append(np.nan if skipped else 0.0 - cost)
    rounds.propensity.append(propensity)
    rounds.offered.append([models[action - 1] for action in ranked])
    rounds.pmf.append(_pmf(where, record.get("p"), len(ranked)))
    event_id = record.get("EventId")
    rounds.event_ids.append(event_id if isinstance(event_id, str) else None)
    category = context.get("_category")
    rounds.category.append(category if type(category) is int else None)
    rounds.cost_usd.append(_number(where, "_cost_usd", record["_cost_usd"]) if "_cost_usd" in record else np.nan)
    names = list(rounds.place)
    _add_features(rounds, where, "", context)
    for entry, model in zip(multi, models, strict=True):
        inner = entry.get("Model")
        if isinstance(inner, dict) and "id" in inner:
            if len(inner) == len(entry) == 1:  # nothing but its name
                continue
            entry = entry | {"Model": {name: value for name, value in inner.items() if name != "id"}}  # noqa: PLW2901
        if any(not name.startswith("_") for name in entry):
            _add_features(rounds, where, names[model], entry)


def _number(where: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e300:
        raise DatasetError(where, name, "a finite number", shown(value))
    return float(value)


def _models(rounds: _Rounds, where: str, multi: list[dict[str, Any]], *, fixed: bool) -> list[int]:
    """Return the model of each action."""
    names = [_model_id(entry) for entry in multi]
    if all(name is None for name in names):
        names = [str(i + 1) for i in range(len(multi))]
    if any(not isinstance(name, str) or not name for name in names):
        raise DatasetError(where, "c._multi", "a name in Model.id or _tag of each action, or of none", "some without")
    if len(set(names)) < len(names):
        raise DatasetError(where, "c._multi", "distinct names of actions", "one twice")
    for name in names:
        if fixed and name not in rounds.place:
            raise DatasetError(where, "c._multi", f"one of the models {', '.join(rounds.place)}", repr(name))
        rounds.place.setdefault(str(name), len(rounds.place))
    return [rounds.place[str(name)] for name in names]


def _model_id(entry: dict[str, Any]) -> object:
    for path in _ID_PATHS:
        value: object = entry
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _pmf(where: str, values: object, count: int) -> list[float] | None:
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != count:
        raise DatasetError(where, "p", f"{count} probabilities, one per entry of a", shown(values))
    return [_number(where, "p", value) for value in values]


def _add_features(rounds: _Rounds, where: str, model: str, entry: dict[str, Any]) -> None:
    rows, columns, values = rounds.cells
    for path, value in _flattened(where, "", entry):
        rows.append(len(rounds.action) - 1)
        columns.append(rounds.features.setdefault((model, path), len(rounds.features)))
        values.append(value)


def _flattened(where: str, path: str, value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if not name.startswith("_"):
                yield from _flattened(where, f"{path}.{name}" if path else name, inner)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            if type(inner) is float and -1e300 <= inner <= 1e300:  # nearly all there is, in a third of the time
                yield f"{path}[{i}]", inner
                continue
            yield from _flattened(where, f"{path}[{i}]", inner)
    elif isinstance(value, bool):
        if value:
            yield path, 1.0
    elif isinstance(value, str):
        yield f"{path}={value}", 1.0
    elif value is not None:
        yield path, _number(where, f"c.{path}", value)


def _logged(rounds: _Rounds, reward_min: float, reward_max: float, features_max: int) -> LoggedRounds:
    eligible, pmf = _distributions(rounds)
    reward = np.array(rounds.reward)
    row = first_bad((reward < reward_min) | (reward > reward_max))
    if row >= 0:
        expected = f"a cost in [{-reward_max:g}, {-reward_min:g}], minus the reward's range"
        raise DatasetError(rounds.where(row), "_label_cost", expected, -reward[row])
    cost, category = np.array(rounds.cost_usd), rounds.category
    ids = rounds.event_ids
    try:
        return LoggedRounds(
            action=np.array(rounds.action),
            reward=reward,
            propensity=np.array(rounds.propensity),
            model_ids=tuple(rounds.place),
            context=_context(rounds, features_max),
            pmf=pmf,
            eligible=None if eligible.all() else eligible,
            cost=None if np.isnan(cost).all() else cost,
            category=None if None in category else np.array(category),
            decision_ids=None if None in ids else ids,
            reward_min=reward_min,
            reward_max=reward_max,
        )
    except LogError as error:
        raise log_refused(rounds, error) from error


def _distributions(rounds: _Rounds) -> tuple[Bool, Float64 | None]:
    shape = (len(rounds.lines), len(rounds.place))
    eligible = np.zeros(shape, dtype=np.bool_)
    missing = [row for row, values in enumerate(rounds.pmf) if values is None]
    if 0 < len(missing) < shape[0]:
        raise DatasetError(rounds.where(missing[0]), "p", "probabilities, as in other lines", "none")
    pmf = None if missing else np.zeros(shape)
    for row, (offered, values) in enumerate(zip(rounds.offered, rounds.pmf, strict=True)):
        eligible[row, offered] = True
        if pmf is not None:
            pmf[row, offered] = values
    return eligible, pmf


def _context(rounds: _Rounds, features_max: int) -> Float32 | None:
    """Return the dense features (n, D), D <= *features_max*; None where there are none."""
    rows, columns, values = (np.array(cells) for cells in rounds.cells)
    count, width = len(rounds.lines), len(rounds.features)
    if width == 0:
        return None
    kept = np.array([not model for model, _ in rounds.features], dtype=np.bool_)
    # An action's feature that every decision has with one value is part of the action's name.
    seen = np.bincount(columns, minlength=width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    np.minimum.at(low, columns, values)
    np.maximum.at(high, columns, values)
    kept |= (seen < count) | (low < high)
    target, sign = np.cumsum(kept) - 1, np.ones(width)
    if kept.sum() > features_max:
        target, sign = _hashed(list(rounds.features), features_max)
        kept[:] = True
    width = min(int(kept.sum()), features_max)
    if width == 0:
        return None
    used = kept[columns]
    rows, columns, values = rows[used], columns[used], values[used]
    context = np.zeros((count, width), dtype=np.float32)
    np.add.at(context, (rows, target[columns]), (values * sign[columns]).astype(np.float32))
    return context


def _hashed(features: list[tuple[str, str]], width: int) -> tuple[Any, Float64]:
    digests = [
        int.from_bytes(
            hashlib.blake2b(f"{model}\n{path}".encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
        )
        for model, path in features
    ]
    target = np.array([(digest >> 1) % width for digest in digests], dtype=np.int64)
    return target, np.array([1.0 if digest & 1 else -1.0 for digest in digests])
