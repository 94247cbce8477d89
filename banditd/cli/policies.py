"""banditd policies: a router's policies and how they compare."""

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data directory.")
@click.option("--router", "router_id", default="default", show_default=True, help="The router.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def policies(data: Path, router_id: str, as_json: bool) -> None:
    """Print who decides, and shadows with intervals that hold however often one looks; beside a running server, too."""
    found = read_policies(data, router_id)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print(found)


_MAP_BYTES = 64 << 30


def read_policies(data: Path, router_id: str) -> list[dict[str, Any]]:
    """Return the policies of a data directory, the one that decides first.

    Raises:
        StartupError: It is no data directory.
        DataLossError: A record is damaged.
        click.ClickException: There is no such router.
    """
    from banditd.learner.recovery import recover
    from banditd.store.env import Env
    from banditd.store.log import Log
    from banditd.store.snapshots import Snapshots

    with Env(data, _MAP_BYTES, readonly=True) as env:
        state = recover(Log(env), Snapshots(env))
    router = state.routers.get(router_id)
    if router is None:
        raise click.ClickException(f"there is no router {router_id!r}")
    now_ms = int(time.time() * 1000)
    names = (router.router.policy_name, *router.shadows)
    listed = []
    for name, each in zip(names, router.everyone, strict=True):
        figures = each.account.figures()
        known = {key: value if math.isfinite(value) else None for key, value in asdict(figures).items()}
        verdict = None if each is router else router.verdict(name, now_ms).name
        listed.append({"name": name, "preset": each.policy.preset, "verdict": verdict, "evaluation": known})
    return listed


def _print(found: list[dict[str, Any]]) -> None:
    click.echo(f"{'policy':20} {'preset':16} {'decisions':>9} {'utility':>9} {'difference':>22}  verdict")
    for policy in found:
        figures = policy["evaluation"]
        utility = "-" if figures["shadow"] is None else f"{figures['shadow']:.4f}"
        span = "-" if figures["low"] is None else f"{figures['low']:+.4f} .. {figures['high']:+.4f}"
        verdict = policy["verdict"] or "decides"
        click.echo(
            f"{policy['name']:20} {policy['preset']:16} {figures['decisions']:>9} {utility:>9} {span:>22}  "
            f"{verdict.lower().replace('_', ' ')}"
        )
