"""The forms that can be opened: how each is recognised, and what loads it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from banditd_sim.datasets.arena import load_arena
from banditd_sim.datasets.banditd_log import DECISIONS_FILE, BanditdLog, load_banditd
from banditd_sim.datasets.dsjson import load_dsjson
from banditd_sim.datasets.errors import DatasetError
from banditd_sim.datasets.files import PICKLES, SUFFIXES, column_names
from banditd_sim.datasets.openbandit import load_open_bandit
from banditd_sim.datasets.paretobandit import SPLITS, load_paretobandit, paretobandit_table
from banditd_sim.datasets.routerbench import COST_SUFFIX, load_routerbench
from banditd_sim.datasets.shared import PROMPTS, load_shared
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.table import Table

Loaded: TypeAlias = Table | LoggedRounds | BanditdLog
Options: TypeAlias = Mapping[str, str]
_DSJSON_SUFFIXES: Final = (".dsjson", ".json", ".jsonl", ".ndjson", ".gz")
_LOG_GLOB: Final = "log_*.parquet"
_ITEM_CONTEXT: Final = "item_context.csv"


@dataclass(frozen=True, slots=True)
class Form:
    """A form of data.

    Attributes:
        name: As messages and listings call it.
        kind: "table", of all models' outcomes or comparisons, or "log", of one policy's choices.
        summary: One line for people.
        options: Names of what can be set when it is opened; `embedding_column` is set by the embedder `column:NAME`.
        refuses: From a path that exists to the reason why it has another form; empty where it has this one. Reads no
            more than names and the beginning of a file.
        load: From a path and options to the data; raises DatasetError.
    """

    name: str
    kind: str
    summary: str
    options: tuple[str, ...]
    refuses: Callable[[Path], str]
    load: Callable[[Path, Options], Loaded]


def _needs_files(*names: str) -> Callable[[Path], str]:
    def refuses(path: Path) -> str:
        if not path.is_dir():
            return "not a folder"
        missing = [name for name in names if not (path / name).is_file()]
        return f"no file {missing[0]} in it" if missing else ""

    return refuses


def _needs_columns(*names: str, suffix: str = "") -> Callable[[Path], str]:
    def refuses(path: Path) -> str:
        if not path.is_file() or path.suffix not in SUFFIXES:
            return f"not a file *{', *'.join(SUFFIXES)}"
        try:
            there = column_names(path)
        except DatasetError as error:
            return str(error)
        missing = [name for name in names if not any(option in there for option in name.split("|"))]
        if missing:
            return f"no column {missing[0].replace('|', ' or ')}"
        return "" if any(name.endswith(suffix) for name in there) else f"no column MODEL{suffix}"

    return refuses


def _refuses_dsjson(path: Path) -> str:
    if not path.is_file() or path.suffix not in _DSJSON_SUFFIXES:
        return f"not a file *{', *'.join(_DSJSON_SUFFIXES)}"
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(4096)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        return f"no whole gzip file: {error}"
    return "" if b'"_label_cost"' in start or b'"RewardValue"' in start else "no _label_cost in its first line"


def _refuses_open_bandit(path: Path) -> str:
    if path.is_dir():
        return "" if _campaigns(path) else f"no file {_LOG_GLOB}, and no CSV file beside {_ITEM_CONTEXT}"
    return _needs_columns("item_id", "click", "propensity|propensity_score")(path)


def _campaigns(folder: Path) -> dict[str, Path]:
    logs = {path.stem.removeprefix("log_"): path for path in sorted(folder.glob(_LOG_GLOB))}
    if not logs and (folder / _ITEM_CONTEXT).is_file():
        logs = {path.stem: path for path in sorted(folder.glob("*.csv")) if path.name != _ITEM_CONTEXT}
    return logs


def _refuses_paretobandit(path: Path) -> str:
    if path.is_file():
        return "" if path.suffix == ".whl" and path.name.startswith("paretobandit") else "not a wheel paretobandit*.whl"
    names = [f"{split}.jsonl" for split in SPLITS]
    inside = path / "pareto_bandit/data/examples"
    return (
        "" if any(all((folder / name).is_file() for name in names) for folder in (path, inside)) else f"no {names[0]}"
    )


def _column(options: Options) -> str:
    return options.get("embedding_column", "")


def _load_open_bandit(path: Path, options: Options) -> LoggedRounds:
    if path.is_dir():
        campaigns = _campaigns(path)
        campaign = options.get("campaign", next(iter(campaigns)) if len(campaigns) == 1 else "")
        if campaign not in campaigns:
            got = repr(campaign) if campaign else "none"
            raise DatasetError(str(path), "campaign", f"the choice of one of {', '.join(campaigns)}", got)
        path = campaigns[campaign]
    position = options.get("position")
    return load_open_bandit(
        path,
        policy=options.get("policy", ""),
        position=None if position is None else _whole(path, "position", position),
        affinity=_flag(path, "affinity", options.get("affinity", "false")),
    )


def _load_dsjson(path: Path, options: Options) -> LoggedRounds:
    return load_dsjson(
        path,
        reward_min=_real(path, "reward_min", options.get("reward_min", "0")),
        reward_max=_real(path, "reward_max", options.get("reward_max", "1")),
        features_max=_whole(path, "features_max", options.get("features_max", "1024")),
    )


def _load_banditd(path: Path, options: Options) -> BanditdLog:
    failure, floor = options.get("failure_quality"), options.get("floor")
    return load_banditd(
        path,
        router_id=options.get("router", ""),
        failure_quality=None if failure is None else _real(path, "failure_quality", failure),
        floor=None if floor is None else _real(path, "floor", floor),
    )


def _whole(path: Path, name: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise DatasetError(str(path), name, "a whole number >= 0", repr(text))
    return int(text)


def _real(path: Path, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DatasetError(str(path), name, "a number", repr(text)) from error


def _flag(path: Path, name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise DatasetError(str(path), name, "true or false", repr(text))
    return text == "true"


FORMS: Final = (
    Form(
        "shared",
        "table",
        "a folder with prompts.parquet and outcomes.parquet or comparisons.parquet",
        ("embedding_column",),
        _needs_files(PROMPTS),
        lambda path, options: load_shared(path, embedding_column=_column(options)),
    ),
    Form(
        "dsjson",
        "log",
        "Vowpal Wabbit's dsjson, a line per decision, plain or .gz",
        ("reward_min", "reward_max", "features_max"),
        _refuses_dsjson,
        _load_dsjson,
    ),
    Form(
        "routerbench",
        "table",
        "RouterBench's wide table, .csv or .parquet: sample_id, MODEL, MODEL|total_cost",
        ("embedding_column",),
        _needs_columns("sample_id", suffix=COST_SUFFIX),
        lambda path, options: load_routerbench(path, embedding_column=_column(options)),
    ),
    Form(
        "arena",
        "table",
        "comparisons as of Chatbot Arena, .json, .jsonl, .csv or .parquet: model_a, model_b, winner",
        ("embedding_column",),
        _needs_columns("model_a", "model_b", "winner"),
        lambda path, options: load_arena(path, embedding_column=_column(options)),
    ),
    Form(
        "paretobandit",
        "table",
        "the wheel of the package paretobandit, its folder, or the installed package (named paretobandit)",
        (),
        _refuses_paretobandit,
        lambda path, _: paretobandit_table(load_paretobandit(path), "paretobandit"),
    ),
    Form(
        "banditd",
        "log",
        "a folder that banditd export wrote: decisions.parquet and outcomes.parquet",
        ("router", "failure_quality", "floor"),
        _needs_files(DECISIONS_FILE),
        _load_banditd,
    ),
    Form(
        "open_bandit",
        "log",
        "an Open Bandit log, .csv or .parquet, or a folder of them: item_id, click, propensity_score",
        ("campaign", "policy", "position", "affinity"),
        _refuses_open_bandit,
        _load_open_bandit,
    ),
)


def recognise(path: Path) -> Form:
    """Return the form of what stands at *path*, which exists, by looking at names and the beginning of files.

    Raises:
        DatasetError: it has none; the message says what each form missed.
    """
    if path.suffix in PICKLES:
        got = "a pickle, which runs whatever code its maker put in it; save it with pandas' to_parquet, and open that"
        raise DatasetError(str(path), "", "a Parquet or CSV file", got)
    reasons = []
    for form in FORMS:
        reason = form.refuses(path)
        if not reason:
            return form
        reasons.append(f"{form.name}: {reason}")
    raise DatasetError(str(path), "", "data of a known form", f"none ({'; '.join(reasons)})")
