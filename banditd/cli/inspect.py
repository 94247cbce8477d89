"""banditd inspect: what is in a data directory."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data directory.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--verify", is_flag=True, help="Fold the whole log anew and compare; checks every record.")
def inspect(data: Path, as_json: bool, verify: bool) -> None:
    """Print counts, the newest snapshot and what is believed of each model; beside a running server, too."""
    found = describe(data, verify=verify)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print(found)
    if not found.get("verified", True):
        sys.exit(1)


def describe(data: Path, *, verify: bool) -> dict[str, Any]:
    """Return what is in a data directory.

    Args:
        data: The directory.
        verify: Fold the log from its beginning as well and compare.

    Raises:
        StartupError: It is no data directory.
        DataLossError: A record is damaged.
    """
    from banditd.learner.recovery import recover, replay
    from banditd.learner.state import LearnerState
    from banditd.store.env import Env
    from banditd.store.log import Log
    from banditd.store.snapshots import Snapshots

    with Env(data, _MAP_BYTES, readonly=True) as env:
        log, snapshots = Log(env), Snapshots(env)
        last = log.last_position
        state = replay(recover(log, snapshots), log, last)
        newest = snapshots.positions()
        found: dict[str, Any] = {
            "data": str(data),
            "last_position": last,
            "records": log.counts(),
            "outcomes": log.counters("books"),
            "newest_snapshot": newest[0] if newest else None,
            "models": [model.model_id for model in state.catalog],
            "routers": {router_id: _router(router, state) for router_id, router in state.routers.items()},
        }
        if verify:
            log.verify_tables()
            folded = replay(LearnerState(), log, state.position)
            digests = {router_id: router.digest() for router_id, router in folded.routers.items()}
            found["verified"] = folded.health == state.health and digests == {
                router_id: router.digest() for router_id, router in state.routers.items()
            }
    return found


_MAP_BYTES = 64 << 30


def _router(router: Any, state: Any) -> dict[str, Any]:
    models = {}
    for model in router.offered(state.catalog):
        row = {
            "decisions": router.decision_counts.get(model.slot, 0),
            "failures": router.failure_counts.get(model.slot, 0),
            "observed": router.arrival.counts(model.slot)[0],
            "missing": router.arrival.counts(model.slot)[1],
            "observation_probability": router.arrival.rate(model.slot),
            "price": None if model.price is None else asdict(model.price),
            "health": state.health_of(model.slot).state.name.lower(),
            "newcomer": model.slot in router.changes.newcomers,
            "alarms": dict(
                zip(
                    ("quality", "cost", "latency"),
                    router.changes.alarm_counts.get(model.slot, (0, 0, 0)),
                    strict=True,
                )
            ),
        }
        if router.belief is not None:
            summary = router.belief.summary(model)
            row |= {
                "qualities": summary.quality_count,
                "quality": summary.quality,
                "quality_deviation": summary.deviation,
                "cost_usd": None
                if summary.cost_usd is None
                else summary.cost_usd + (0.0 if model.price is None else model.price.request_usd),
                "latency_ms": summary.latency_ms,
            }
        models[model.model_id] = row
    return {
        "policy": router.policy.preset,
        "parameters": dict(router.policy.values),
        "policy_version": router.version,
        "state_digest": router.digest(),
        "embedding_dimension": router.router.embedding_dimension,
        "decisions": router.decision_count,
        "observed": router.observed,
        "expired": router.expired,
        "censored": router.censored,
        "models": models,
    }


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    from banditd.cli.printing import print_line, print_table

    print_line(f"{found['data']}: log up to {found['last_position']}, newest snapshot {found['newest_snapshot']}")
    print_line("records: " + ", ".join(f"{name} {count}" for name, count in found["records"].items()))
    if found["outcomes"]:
        print_line("outcomes: " + ", ".join(f"{name} {count}" for name, count in found["outcomes"].items()))
    if "verified" in found:
        print_line("the folded log " + ("equals" if found["verified"] else "DIFFERS FROM") + " the recovered state")
    for router_id, router in found["routers"].items():
        table = Table(title=f"{router_id}: {router['policy']}, version {router['policy_version']}")
        for column in (
            "model",
            "decisions",
            "qualities",
            "quality",
            "+-",
            "cost USD",
            "latency ms",
            "arrive",
            "failures",
            "health",
            "alarms",
        ):
            table.add_column(column, justify="left" if column in {"model", "health"} else "right")
        for model_id, row in router["models"].items():
            cost = row.get("cost_usd")
            table.add_row(
                model_id,
                str(row["decisions"]),
                str(row.get("qualities", 0)),
                f"{row['quality']:.4f}" if "quality" in row else "-",
                f"{row['quality_deviation']:.4f}" if "quality" in row else "-",
                "-" if cost is None else f"{cost:.3g}",
                f"{row['latency_ms']:.0f}" if "quality" in row else "-",
                f"{row['observation_probability']:.2f}" if row["observed"] + row["missing"] else "-",
                str(row["failures"]),
                row["health"] + (", new" if row["newcomer"] else ""),
                str(sum(row["alarms"].values())),
            )
        print_table(table)
        unpriced = [model_id for model_id, row in router["models"].items() if row["price"] is None]
        if unpriced:
            print_line(f"without a price, so not chosen where money matters: {', '.join(unpriced)}")
