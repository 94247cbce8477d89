"""The prompts that the package `paretobandit` ships: full information on three models.

`val.jsonl` (1,785 prompts) and `test_holdout.jsonl` (1,824) hold one JSON object per line:

    source                   category     name of the benchmark: 31, of which each file has 30
    prompt                   texts        20 to 4,860 characters
    arms.MODEL.reward        quality      mean score of LLM judges, in [0, 1]
    arms.MODEL.cost          cost_usd     USD of the logged call
    (the file)               split        "val" or "test_holdout"
    (no id in the source)    prompt_ids   pareto:DIGEST of the text, as in the shared data set made from the same files

Not read, for they are computed from the outcomes and would give the answer away as features: difficulty, best_arm,
best_reward, worst_reward, reward_spread, arms.MODEL.near_best. The files hold no tokens and no latency.

`models.json` of the same package gives the prices (input_cost_per_m, output_cost_per_m: USD per million tokens) and the
order of the models, from cheap to dear.

The package itself is never imported: it would bring scikit-learn.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from banditd_sim.datasets.errors import DatasetError, shown
from banditd_sim.table import Table, TableModel, gaps

Float64 = npt.NDArray[np.float64]

DISTRIBUTION: Final = "paretobandit"
SPLITS: Final = ("val", "test_holdout")
_EXAMPLES: Final = "pareto_bandit/data/examples"
_CATALOGUE: Final = "pareto_bandit/config/models.json"
# USD per million input and output tokens, as in models.json of paretobandit 0.1.1: for a folder without that file.
LIST_PRICES: Final = MappingProxyType(
    {
        "meta-llama/llama-3.1-8b-instruct": (0.1, 0.1),
        "mistralai/mistral-large-2512": (0.5, 1.5),
        "google/gemini-2.5-pro": (1.25, 10.0),
    }
)


class ParetoBanditError(DatasetError):
    """The data is absent or malformed."""


@dataclass(frozen=True, slots=True)
class ParetoBanditData:
    """N prompts by K models, every outcome known; val first, then test_holdout, each in the order of its file.

    Attributes:
        prompt_ids: N distinct ids, `pareto:` and 16 hex digits. The colon is not allowed in a request id.
        texts: N prompts.
        category: N names of benchmarks.
        split: N of "val" and "test_holdout".
        model_ids: K distinct names, from cheap to dear.
        quality: float64 (N, K), in [0, 1]; read-only.
        cost_usd: float64 (N, K), finite and >= 0; read-only.
        input_usd_per_1m: float64 (K,), USD per million input tokens, nan where no price is known; read-only.
        output_usd_per_1m: float64 (K,), the same of output tokens.
        price_basis: "source" if the package's own catalogue was there, "list" if `LIST_PRICES` stood in.
        origin: What was read, for reports.
    """

    prompt_ids: tuple[str, ...]
    texts: tuple[str, ...]
    category: tuple[str, ...]
    split: tuple[str, ...]
    model_ids: tuple[str, ...]
    quality: Float64
    cost_usd: Float64
    input_usd_per_1m: Float64
    output_usd_per_1m: Float64
    price_basis: str
    origin: str

    def __len__(self) -> int:
        return len(self.prompt_ids)

    def rows_of(self, split: str) -> npt.NDArray[np.int64]:
        """Return the row numbers of *split*, ascending."""
        return np.flatnonzero(np.array(self.split) == split).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Source:
    origin: str
    # From a file's path inside the package to its bytes, or None where there is no such file.
    read: Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class _Prompt:
    where: str
    text: str
    category: str
    outcomes: Mapping[str, tuple[float, float]]  # model to quality and USD


def load_paretobandit(path: Path | None = None) -> ParetoBanditData:
    """Read the prompts and what each of the models made of them.

    Args:
        path: None for the installed package; else a wheel, a folder with `val.jsonl` and `test_holdout.jsonl` in it,
            or the folder that an unpacked wheel makes.

    Raises:
        ParetoBanditError: the data is not there, is not what the package's own record says, or is malformed; the
            message names file, line and field.
    """
    source = _installed() if path is None else _wheel(path) if path.is_file() else _folder(path)
    catalogue = source.read(_CATALOGUE)
    prices = LIST_PRICES if catalogue is None else _parse_catalogue(catalogue)
    prompts: dict[str, _Prompt] = {}
    splits: list[str] = []
    for split in SPLITS:
        name = f"{split}.jsonl"
        content = source.read(f"{_EXAMPLES}/{name}")
        if content is None:
            raise ParetoBanditError(source.origin, "", f"a file {name}", "none")
        for prompt in _parse_prompts(name, content):
            prompt_id = _prompt_id(prompt.text)
            if prompt_id in prompts:
                raise ParetoBanditError(prompt.where, "prompt", "a new text", f"that of {prompts[prompt_id].where}")
            prompts[prompt_id] = prompt
            splits.append(split)
    model_ids = _model_ids(prompts, prices)
    outcomes = np.array([[prompt.outcomes[model] for model in model_ids] for prompt in prompts.values()])
    price = np.array([prices.get(model, (math.nan, math.nan)) for model in model_ids])
    return ParetoBanditData(
        prompt_ids=tuple(prompts),
        texts=tuple(prompt.text for prompt in prompts.values()),
        category=tuple(prompt.category for prompt in prompts.values()),
        split=tuple(splits),
        model_ids=model_ids,
        quality=_frozen(outcomes[:, :, 0]),
        cost_usd=_frozen(outcomes[:, :, 1]),
        input_usd_per_1m=_frozen(price[:, 0]),
        output_usd_per_1m=_frozen(price[:, 1]),
        price_basis="list" if catalogue is None else "source",
        origin=source.origin,
    )


def paretobandit_table(data: ParetoBanditData, name: str) -> Table:
    """Return *data* as a table, without a copy of its arrays; splits keep their names, "val" and "test_holdout"."""
    unknown = gaps(len(data), len(data.model_ids))
    prices = zip(data.model_ids, data.input_usd_per_1m.tolist(), data.output_usd_per_1m.tolist(), strict=True)
    return Table(
        name=name,
        prompt_ids=data.prompt_ids,
        texts=data.texts,
        category=data.category,
        split=data.split,
        models=tuple(TableModel(*price) for price in prices),
        quality=data.quality,
        cost_usd=data.cost_usd,
        input_tokens=unknown,
        output_tokens=unknown,
        latency_ms=unknown,
    )


def _installed() -> _Source:
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise ParetoBanditError(
            DISTRIBUTION, "", "the package to be installed (pip install 'banditd-sim[demo]')", "none"
        ) from error
    recorded = {file.as_posix(): file for file in distribution.files or []}

    def read(name: str) -> bytes | None:
        file = recorded.get(name)
        if file is None:
            return None
        try:
            content = Path(str(file.locate())).read_bytes()
        except OSError as error:
            raise ParetoBanditError(name, "", "the file that the package's record lists", error.strerror) from error
        # A file cut at the end of a line would parse, and be smaller data without a word.
        if file.hash is not None:
            digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, content).digest()).rstrip(b"=").decode()
            if digest != file.hash.value:
                raise ParetoBanditError(name, "", f"{file.hash.mode} {file.hash.value}, as recorded", digest)
        return content

    return _Source(origin=f"{DISTRIBUTION} {distribution.version}", read=read)


def _wheel(path: Path) -> _Source:
    def read(name: str) -> bytes | None:
        try:
            with zipfile.ZipFile(path) as archive:
                return archive.read(name) if name in archive.namelist() else None
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ParetoBanditError(path.name, "", "a whole wheel", error) from error

    return _Source(origin=path.name, read=read)


def _folder(path: Path) -> _Source:
    def read(name: str) -> bytes | None:
        for candidate in (path / name, path / name.rpartition("/")[2]):
            if candidate.is_file():
                return candidate.read_bytes()
        return None

    return _Source(origin=str(path), read=read)


def _prompt_id(text: str) -> str:
    # lower() and split() fold what differs between two copies of one prompt. Lone surrogates have no UTF-8.
    normalised = " ".join(text.lower().split()).encode("utf-8", "surrogatepass")
    return f"pareto:{hashlib.sha256(normalised).hexdigest()[:16]}"


def _parse_prompts(name: str, content: bytes) -> list[_Prompt]:
    prompts = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            prompts.append(_parse_prompt(f"{name}:{number}", line))
    if not prompts:
        raise ParetoBanditError(name, "", "at least one prompt", "none")
    return prompts


def _parse_prompt(where: str, line: bytes) -> _Prompt:
    record = _parse_object(where, line)
    arms = record.get("arms")
    if not isinstance(arms, dict) or len(arms) < 2:
        raise ParetoBanditError(where, "arms", "an object with two or more models", shown(arms))
    outcomes = {}
    for model, arm in arms.items():
        if not isinstance(arm, dict):
            raise ParetoBanditError(where, f"arms.{model}", "an object", shown(arm))
        quality = _number(where, f"arms.{model}.reward", arm.get("reward"), maximum=1.0)
        cost_usd = _number(where, f"arms.{model}.cost", arm.get("cost"))
        outcomes[model] = (quality, cost_usd)
    return _Prompt(
        where=where,
        text=_text(where, "prompt", record.get("prompt")),
        category=_text(where, "source", record.get("source")),
        outcomes=outcomes,
    )


def _parse_catalogue(content: bytes) -> dict[str, tuple[float, float]]:
    where = "models.json"
    models = _parse_object(where, content).get("models")
    if not isinstance(models, list) or not models:
        raise ParetoBanditError(where, "models", "a list of models", shown(models))
    prices = {}
    for i, model in enumerate(models):
        field = f"models[{i}]"
        if not isinstance(model, dict):
            raise ParetoBanditError(where, field, "an object", shown(model))
        model_id = _text(where, f"{field}.model_id", model.get("model_id"))
        if model_id in prices:
            raise ParetoBanditError(where, f"{field}.model_id", "a new id", model_id)
        prices[model_id] = (
            _number(where, f"{field}.input_cost_per_m", model.get("input_cost_per_m")),
            _number(where, f"{field}.output_cost_per_m", model.get("output_cost_per_m")),
        )
    return prices


def _model_ids(prompts: Mapping[str, _Prompt], prices: Mapping[str, object]) -> tuple[str, ...]:
    """Return the models that every prompt has: those of the catalogue in its order, then others by name."""
    models = next(iter(prompts.values())).outcomes.keys()
    for prompt in prompts.values():
        if prompt.outcomes.keys() != models:
            raise ParetoBanditError(prompt.where, "arms", f"the models {sorted(models)}", sorted(prompt.outcomes))
    return (*(model for model in prices if model in models), *sorted(models - prices.keys()))


def _parse_object(where: str, content: bytes) -> dict[str, Any]:
    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            keys = [key for key, _ in pairs]
            raise ParetoBanditError(where, "", "each key once", f"{max(keys, key=keys.count)!r} more than once")
        return record

    try:
        record = json.loads(content, object_pairs_hook=no_repeats)
    except UnicodeDecodeError as error:
        raise ParetoBanditError(where, "", "UTF-8", f"byte {error.start}: {error.reason}") from error
    except json.JSONDecodeError as error:
        raise ParetoBanditError(where, "", "a JSON object", f"character {error.pos}: {error.msg}") from error
    except ParetoBanditError:
        raise
    except (RecursionError, ValueError) as error:  # nested too deep; a number of thousands of digits
        raise ParetoBanditError(where, "", "a JSON object", error) from error
    if not isinstance(record, dict):
        raise ParetoBanditError(where, "", "a JSON object", shown(record))
    return record


def _text(where: str, field: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ParetoBanditError(where, field, "a text that is not blank", shown(value))
    return value


def _number(where: str, field: str, value: object, *, maximum: float = math.inf) -> float:
    expected = "a finite number >= 0" if maximum == math.inf else f"a number in [0, {maximum:g}]"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParetoBanditError(where, field, expected, shown(value))
    # An int beyond float's range compares, but does not convert.
    if not 0.0 <= value <= maximum or value > 1e300:
        raise ParetoBanditError(where, field, expected, shown(value))
    return float(value)


def _frozen(array: Float64) -> Float64:
    frozen = np.ascontiguousarray(array)
    frozen.setflags(write=False)
    return frozen
