"""banditd-sim run: policies x budgets x seeds on data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table as RichTable

from banditd_sim.cli.errors import told
from banditd_sim.cli.opening import open_log, open_table
from banditd_sim.cli.progress import progress, wide_console
from banditd_sim.environments.baselines import CONSTANT_PREFIX
from banditd_sim.environments.errors import SimError
from banditd_sim.experiments.config import Experiment, experiment_of, load_experiment, to_plain
from banditd_sim.experiments.run import BACKENDS
from banditd_sim.experiments.run import run as run_experiment
from banditd_sim.report.run_page import headlines
from banditd_sim.report.schema import Row, Summary
from banditd_sim.report.write import write_report


@click.command()
@click.argument("dataset", nargs=-1)
@click.option(
    "--experiment", "file", type=click.Path(path_type=Path), help="Experiment file; options below win over it."
)
@click.option("--policy", "policies", multiple=True, help="PRESET or PRESET:key=value,...; may be repeated.")
@click.option("--budget", "budgets", multiple=True, help="Mean USD per request, or 'none'; may be repeated.")
@click.option("--usd-weight", type=float, help="What a dollar is worth in quality.")
@click.option("--second-weight", type=float, help="What a second is worth in quality.")
@click.option("--warm-split", help="Split that goes in first, with every model's outcome.")
@click.option("--warm-log", help="Log that goes in before everything else, as it was logged.")
@click.option("--learn-split", help="Split that is played first, with the chosen model's outcome only.")
@click.option("--split", "test_split", help="Split that is measured; all that is left if not given.")
@click.option("--warm-fraction", type=float, help="Makes a history where the data has no such split.")
@click.option("--split-seed", type=int, help="Decides which prompts that is.")
@click.option(
    "--embedder", help="For data without embeddings: ngram (the default), minilm, MODULE:CALLABLE; or column:NAME."
)
@click.option("--seeds", type=int, help="Number of seeds; 20 if not given.")
@click.option("--no-baselines", is_flag=True, help="Leave out the baselines.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--backend", type=click.Choice(BACKENDS), default="loky", show_default=True, help="Where they run.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the result; goes on if it is there."
)
def run(dataset: tuple[str, ...], file: Path | None, jobs: int, backend: str, out: Path, **options: Any) -> None:
    """Replay policies on DATASET (a name or a path; may be repeated, and may be an experiment file).

    A policy sees of each prompt the chosen model's outcome only. Writes tables, plots and report.html into --out.
    """
    with told():
        files = [Path(name) for name in dataset if name.endswith(".toml")] + ([] if file is None else [file])
        if len(files) > 1:
            raise SimError("--experiment", "one experiment file", [str(one) for one in files])
        names = [name for name in dataset if not name.endswith(".toml")]
        experiment = _experiment(files[0] if files else None, names, options)
        with progress("texts embedded") as tell:
            tables = [open_table(name, experiment.data.embedder, tell) for name in experiment.datasets]
        past = open_log(experiment.data.warm_log) if experiment.data.warm_log else None
        with progress("tasks") as tell:
            folder, tasks, subjects = run_experiment(
                experiment, tables, out, past=past, jobs=jobs, backend=backend, progress=tell
            )
        summary = write_report(experiment, folder, tasks, subjects)
        _print(summary, out)


def _experiment(file: Path | None, datasets: list[str], options: dict[str, Any]) -> Experiment:
    """Return the experiment: the file's settings, or the defaults, with what the command line says put over them."""
    plain = to_plain(Experiment() if file is None else load_experiment(file))
    data: dict[str, Any] = plain["data"]
    for name in ("warm_split", "warm_log", "learn_split", "test_split", "warm_fraction", "split_seed", "embedder"):
        if options[name] is not None:
            data[name] = options[name]
    # A fraction alone means that there shall be a history.
    if options["warm_fraction"] is not None and not data["warm_split"]:
        data["warm_split"] = "train"
    for name in ("usd_weight", "second_weight", "seeds"):
        if options[name] is not None:
            plain[name] = options[name]
    if datasets:
        plain["datasets"] = datasets
    if options["policies"]:
        plain["policies"] = list(options["policies"])
    if options["budgets"]:
        plain["budgets_usd"] = [_budget(text) for text in options["budgets"] if text != "none"]
        plain["unlimited"] = "none" in options["budgets"]
    if options["no_baselines"]:
        plain["baselines"] = False
    if not plain["datasets"]:
        raise SimError("DATASET", "at least one data set", "none", reason="EMPTY")
    return experiment_of(plain)


def _budget(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SimError("--budget", "USD per request, or none", repr(text), reason="BAD_BUDGET") from error


def _print(summary: Summary, out: Path) -> None:
    console = wide_console()
    for about in summary.datasets:
        if about.revealed == "comparison":
            text = f"{about.name}: comparisons only, of which the pair's verdict was revealed; costs: {about.costs}"
            console.print(text, highlight=False)
    for dataset, scenario in dict.fromkeys((row.dataset, row.scenario) for row in summary.rows):
        rows = [row for row in summary.rows if (row.dataset, row.scenario) == (dataset, scenario)]
        table = RichTable(title=f"{dataset}, {scenario}", title_justify="left")
        for column in ("policy", "budget", "quality", "USD per 1,000", "gain over mix", "95 %", "utility"):
            table.add_column(column, justify="left" if column == "policy" else "right", no_wrap=True)
        for row in rows:
            if not row.policy.startswith(CONSTANT_PREFIX) or row.gain_over_hull > -1e-6:
                table.add_row(*_cells(row), style="bold" if row.kind == "policy" else None)
        console.print(table)
        for text in headlines(rows):
            console.print(text, highlight=False)
    console.print(f"{out / 'report.html'} tells it with pictures, {out / 'summary.json'} to programs.", highlight=False)


def _cells(row: Row) -> tuple[str, ...]:
    ci = row.gain_over_hull_ci
    return (
        row.policy,
        "" if row.budget_usd is None else f"{row.budget_usd:g}",
        f"{row.quality:.4f}",
        f"{1000.0 * row.cost_usd:.4g}",
        f"{row.gain_over_hull:+.4f}",
        "" if ci is None else f"{ci[0]:+.4f} {ci[1]:+.4f}",
        f"{row.utility:.4f}",
    )
