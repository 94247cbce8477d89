"""banditd leaderboard: models by ratings from comparisons and by mean scores."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data directory.")
@click.option("--router", "router_id", default="default", show_default=True, help="The router.")
@click.option("--category", default="", help="Only prompts of this category.")
@click.option("--confidence", default=0.9, show_default=True, type=click.FloatRange(0.5, 0.999), help="Of intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leaderboard(data: Path, router_id: str, category: str, confidence: float, as_json: bool) -> None:
    """Print ratings, scores and judges with intervals; beside a running server, too."""
    found = read_leaderboard(data, router_id, category, confidence)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print(found)


_MAP_BYTES = 64 << 30


def read_leaderboard(data: Path, router_id: str, category: str, confidence: float) -> dict[str, Any]:
    """Return the leaderboard of a data directory.

    Raises:
        StartupError: It is no data directory.
        DataLossError: A record is damaged.
        click.ClickException: There is no such router.
    """
    from banditd.learner.leaderboard import EVIDENCE_MAX
    from banditd.learner.leaderboard import leaderboard as make
    from banditd.learner.recovery import recover
    from banditd.store.env import Env
    from banditd.store.log import Log
    from banditd.store.snapshots import Snapshots

    with Env(data, _MAP_BYTES, readonly=True) as env:
        log = Log(env)
        state = recover(log, Snapshots(env))
        router = state.routers.get(router_id)
        if router is None:
            raise click.ClickException(f"there is no router {router_id!r}")
        entries = log.newest_outcomes(router_id, log.last_position + 1, EVIDENCE_MAX)
        offered = router.offered(state.catalog)
        board = make(
            entries,
            log.decisions_of(entries),
            [model.slot for model in offered],
            category=category,
            confidence=confidence,
            truncated=len(entries) == EVIDENCE_MAX,
        )
    names = {model.slot: model.model_id for model in offered}
    found = asdict(board) | {"router": router_id, "category": category, "confidence": confidence}
    found["standings"] = [{"model": names[s.pop("slot")], **s} for s in found["standings"]]
    return found


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    from banditd.cli.printing import print_line, print_table

    title = f"{found['router']}: {found['category'] or 'all prompts'}, {found['comparison_count']} comparisons"
    table = Table(title=title, caption=f"intervals hold the truth in {found['confidence']:.0%} of cases")
    for column in ("model", "rating", "won", "lost", "tied", "both bad", "score", "scores"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in found["standings"]:
        table.add_row(
            row["model"],
            _shown(row["rating"], ".0f"),
            *(f"{row[name]:.6g}" for name in ("won", "lost", "tied", "both_bad")),
            _shown(row["score"], ".3f"),
            str(row["score_count"]),
        )
    print_table(table)
    if found["comparison_count"]:
        print_line(f"being shown first is worth {found['position_bias']:+.0f} points, taken out above")
    for judge in found["judges"]:
        if judge["honest"] < _DOUBTED:
            print_line(f"doubted: judge {judge['judge']!r}, {judge['vote_count']} votes at {judge['honest']:.2f}")
    if found["categories"]:
        print_line("categories: " + ", ".join(found["categories"]))
    if found["truncated"]:
        print_line("older evidence was left out")


_DOUBTED = 0.5


def _shown(interval: dict[str, float] | None, form: str) -> str:
    if interval is None:
        return "-"
    return f"{interval['value']:{form}} [{interval['low']:{form}}, {interval['high']:{form}}]"
