"""From a path or a name to a data set, and what to say about it.

folder/of/data                 its form is recognised by looking
folder/of/data#key=value,…     with options of that form, see `FORMS`
routellm                       a name inside one of the folders of data
paretobandit                   the installed package
world:linear#seed=3            a synthetic world, see `banditd_sim.worlds`
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from banditd_sim.datasets.banditd_log import BanditdLog
from banditd_sim.datasets.embedding import embed_table
from banditd_sim.datasets.errors import DatasetError
from banditd_sim.datasets.forms import Form, Options, recognise
from banditd_sim.datasets.paretobandit import DISTRIBUTION, load_paretobandit, paretobandit_table
from banditd_sim.embed import Column, resolve_embedder
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.table import Table, add_array
from banditd_sim.worlds import WORLDS, World, make_world

# Folders that hold data sets, as PATH holds programs.
FOLDERS_VARIABLE: Final = "BANDITD_DATA"
_WORLD: Final = "world:"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set that is in memory.

    Attributes:
        name: Short, for listings.
        form: Name of its form, one of `FORMS`, or "world".
        source: What was opened, with its options.
        data: A table, or the rounds of a log.
        beside: What else is known: the world behind a synthetic table, or what banditd logged besides the rounds.
    """

    name: str
    form: str
    source: str
    data: Table | LoggedRounds
    beside: World | BanditdLog | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What a listing says of a data set.

    Attributes:
        name: Short.
        form: Name of its form.
        kind: "table" or "log".
        rows: Prompts of a table, rounds of a log.
        model_ids: The K names.
        gap_count: Cells without a quality, or rounds without a reward.
        comparison_count: Comparisons; 0 for none.
        splits: Prompts per split; empty where there is none.
        category_count: Different categories; 0 where there are none.
        embedding_dimension: Numbers per embedding or context; 0 where there are none.
        fingerprint: 32 hexadecimal digits over the content.
    """

    name: str
    form: str
    kind: str
    rows: int
    model_ids: tuple[str, ...]
    gap_count: int
    comparison_count: int
    splits: Mapping[str, int]
    category_count: int
    embedding_dimension: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Found:
    """A data set that was recognised and not read."""

    name: str
    form: Form
    path: Path


def open_dataset(
    source: str | Path,
    *,
    folders: Sequence[Path] = (),
    embedder: str = "",
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Read a data set.

    Args:
        source: A path or a name, with options; see above.
        folders: Where names are looked up, before those in the variable BANDITD_DATA.
        embedder: Makes embeddings of a table, in place of its own: `column:NAME`, a column with a list of numbers per
            row of the file that holds the prompts; else what `resolve_embedder` knows. Empty keeps what is there.
        cache: Folder that keeps computed embeddings; None keeps none.
        on_progress: Told how many of how many texts are embedded.

    Raises:
        DatasetError: there is no such data set, its form is not known, or it is malformed.
        WorldError: the world or one of its settings is unknown or out of range.
        TableError: a table without texts is to be embedded.
        EmbedError: the embedder is unknown or fails.
    """
    name, options = _parsed(str(source))
    resolved = resolve_embedder(embedder) if embedder else None
    if isinstance(resolved, Column):
        options = {**options, "embedding_column": resolved.name}
    dataset = _opened(name, str(source), options, folders)
    if resolved is None or isinstance(resolved, Column):
        return dataset
    if not isinstance(dataset.data, Table):
        raise DatasetError(str(source), "embedder", "a table, whose texts can be embedded", "a log")
    data = embed_table(dataset.data, resolved, cache=cache, on_progress=on_progress)
    return Dataset(dataset.name, dataset.form, dataset.source, data, dataset.beside)


def find_datasets(folders: Sequence[Path]) -> list[Found]:
    """Return the data sets in *folders*, recognised by looking: each folder itself, or else what stands in it.

    What has no known form is passed over; folders that are absent hold nothing.
    """
    found = []
    for folder in folders:
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        for path in [folder, *inside] if folder.exists() else []:
            try:
                form = recognise(path)
            except (DatasetError, OSError):
                continue
            found.append(Found(path.resolve().stem if path.is_file() else path.resolve().name, form, path))
            if path is folder:
                break
    return found


def data_folders(folders: Sequence[Path] = ()) -> list[Path]:
    """Return *folders* and those that the variable BANDITD_DATA names, separated as in PATH."""
    named = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return [*folders, *(Path(folder) for folder in named if folder)]


def describe(dataset: Dataset) -> Description:
    """Return what there is to say of *dataset*; costs a pass over a log, for its fingerprint."""
    data = dataset.data
    if isinstance(data, Table):
        return Description(
            name=dataset.name,
            form=dataset.form,
            kind="table",
            rows=len(data),
            model_ids=data.model_ids,
            gap_count=int(np.isnan(data.quality).sum()),
            comparison_count=0 if data.comparisons is None else len(data.comparisons),
            splits=MappingProxyType(dict(sorted(Counter(split for split in data.split if split).items()))),
            category_count=len({category for category in data.category if category}),
            embedding_dimension=0 if data.embeddings is None else data.embeddings.shape[1],
            fingerprint=data.fingerprint,
        )
    return Description(
        name=dataset.name,
        form=dataset.form,
        kind="log",
        rows=len(data),
        model_ids=data.model_ids,
        gap_count=int((~data.observed).sum()),
        comparison_count=0,
        splits=MappingProxyType({}),
        category_count=0 if data.category is None else int(np.unique(data.category).size),
        embedding_dimension=0 if data.context is None else data.context.shape[1],
        fingerprint=log_fingerprint(data),
    )


def log_fingerprint(log: LoggedRounds) -> str:
    """Return 32 hexadecimal digits over what the rounds of *log* say; ids and names of categories are no part of it."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((log.model_ids, log.reward_min, log.reward_max, log.floor)).encode("utf-8", "surrogatepass"))
    for name in ("action", "reward", "propensity", "context", "pmf", "eligible", "cost", "category"):
        array = getattr(log, name)
        digest.update(name.encode())
        if array is not None:
            add_array(digest, array)
    return digest.hexdigest()


def _parsed(source: str) -> tuple[str, dict[str, str]]:
    # A path may itself have a number sign in it.
    name, sign, tail = (source, "", "") if Path(source).exists() else source.rpartition("#")
    if not sign:
        return source, {}
    options: dict[str, str] = {}
    for part in tail.split(","):
        key, equals, value = part.partition("=")
        if not key or not equals or key in options:
            raise DatasetError(source, "", "options as key=value, separated by commas, each once", repr(part))
        options[key] = value
    return name, options


def _opened(name: str, source: str, options: Options, folders: Sequence[Path]) -> Dataset:
    if name.startswith(_WORLD):
        if "embedding_column" in options:
            raise DatasetError(source, "embedder", "no column: a world has its own embeddings", "column")
        world = make_world(name.removeprefix(_WORLD), options)
        return Dataset(world.table.name, "world", source, world.table, world)
    path = _located(name, folders)
    if path is None:
        _check_options(source, options, ())
        data = paretobandit_table(load_paretobandit(), DISTRIBUTION)
        return Dataset(DISTRIBUTION, DISTRIBUTION, source, data)
    form = recognise(path)
    _check_options(source, options, form.options)
    try:
        loaded = form.load(path, options)
    except OSError as error:
        raise DatasetError(str(path), "", "files that can be read", error.strerror or error) from error
    short = path.resolve().name if path.is_dir() else path.stem
    if isinstance(loaded, BanditdLog):
        return Dataset(short, form.name, source, loaded.rounds, loaded)
    return Dataset(loaded.name if isinstance(loaded, Table) else short, form.name, source, loaded)


def _located(name: str, folders: Sequence[Path]) -> Path | None:
    """Return where *name* stands; None for the installed package."""
    if name and Path(name).exists():
        return Path(name)
    searched = data_folders(folders)
    for folder in searched:
        # A name is no path: "../secret" is not looked up.
        if name and Path(name).name == name and (folder / name).exists():
            return folder / name
    if name == DISTRIBUTION:
        return None
    there = ", ".join(str(folder) for folder in searched) or f"none: the variable {FOLDERS_VARIABLE} can name some"
    worlds = ", ".join(f"{_WORLD}{world}" for world in WORLDS)
    expected = f"a path, {DISTRIBUTION}, one of {worlds}, or a name in a folder of data ({there})"
    raise DatasetError(name, "", expected, "nothing of that name")


def _check_options(source: str, options: Options, known: tuple[str, ...]) -> None:
    for key in options:
        if key not in known:
            what = "embedder column:" if key == "embedding_column" else key
            raise DatasetError(source, what, f"options among {', '.join(known)}" if known else "no options", repr(key))
