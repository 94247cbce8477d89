"""banditd-sim ope: what other policies would have achieved on a log."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.table import Table as RichTable

from banditd_sim.cli.errors import REFUSED, told
from banditd_sim.cli.opening import open_log
from banditd_sim.cli.progress import wide_console
from banditd_sim.experiments.evaluation import evaluate_targets
from banditd_sim.ope import DEFAULT_ESTIMATORS, DEFAULT_INTERVALS, ESTIMATORS, INTERVALS, Settings
from banditd_sim.report.ope_page import ope_headlines, write_ope_report
from banditd_sim.report.ope_schema import OpeSummary


@click.command()
@click.argument("log")
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    help="PRESET[:key=value,...], constant:MODEL, uniform, category:FILE, snapshot:DIRECTORY[@POSITION], "
    "MODULE:FUNCTION, or replay:PRESET[:key=value,...] by rejection; may be repeated.",
)
@click.option("--estimator", "estimators", multiple=True, type=click.Choice(ESTIMATORS), help="May be repeated.")
@click.option("--interval", "intervals", multiple=True, type=click.Choice(INTERVALS), help="May be repeated.")
@click.option(
    "--missing",
    type=click.Choice(["refuse", "drop", "per_model", "per_context"]),
    default="refuse",
    show_default=True,
    help="What to do about rounds without a reward.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides folds and resamples.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the result.")
def ope(
    log: str,
    targets: tuple[str, ...],
    estimators: tuple[str, ...],
    intervals: tuple[str, ...],
    missing: str,
    seed: int,
    out: Path,
) -> None:
    """Estimate from LOG what the targets would have received, with intervals.

    Refuses a target, with the reason and exit code 3, where the log holds too little about what it would do.
    """
    with told():
        rounds = open_log(log)
        settings = Settings(missing=missing)  # type: ignore[arg-type] # click has checked it
        summary = evaluate_targets(
            log,
            rounds,
            targets,
            estimators=estimators or DEFAULT_ESTIMATORS,
            intervals=intervals or DEFAULT_INTERVALS,
            seed=seed,
            settings=settings,
        )
        write_ope_report(out, summary)
        _print(summary, out)
    refused = [about for about in summary.targets if about.refusal]
    for about in refused:
        click.echo(f"banditd-sim: {about.target}: refused ({about.refusal_reason}): {about.refusal}", err=True)
    if refused:
        sys.exit(REFUSED)


def _print(summary: OpeSummary, out: Path) -> None:
    console = wide_console()
    table = RichTable(title=f"{summary.log}, {summary.rounds:,} rounds", title_justify="left")
    for column in ("target", "estimator", "value", "95 %", "interval"):
        table.add_column(column, justify="right" if column in {"value", "95 %"} else "left")
    for row in summary.rows:
        ends = "" if row.low is None or row.high is None else f"{row.low:.4f} {row.high:.4f}"
        table.add_row(row.target, row.estimator, f"{row.value:.4f}", ends, row.interval)
    console.print(table)
    for text in ope_headlines(summary):
        console.print(text, highlight=False)
    console.print(f"{out / 'report.html'} tells it with pictures, {out / 'ope.json'} to programs.", highlight=False)
