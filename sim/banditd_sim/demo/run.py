"""The demo from beginning to end."""

from __future__ import annotations

import fcntl
import json
import math
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console

from banditd_client import BanditdError, Client, Objective, PolicyStatus, Price
from banditd_sim.datasets.paretobandit import ParetoBanditData, ParetoBanditError, load_paretobandit
from banditd_sim.demo.accounting import LEARN_SPLIT, TEST_SPLIT, compare, summary
from banditd_sim.demo.display import Display, conclusions, result_table
from banditd_sim.demo.replay import Float32, Int64, Round, replay, shuffled_rows
from banditd_sim.demo.server import ServerError, ServerProcess
from banditd_sim.embed import Column, EmbedError, embed_cached, resolve_embedder

# Marks a folder whose contents the demo may replace, and is locked by the demo that is using it.
_MARKER: Final = ".banditd-demo"
_CALL_SECONDS_MAX: Final = 30.0
# Longer than the writer takes to notice that something is due.
_SETTLE_SECONDS: Final = 0.2
_PLAIN_WIDTH: Final = 160


class DemoError(Exception):
    """The demo cannot go on; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen on the command line.

    Attributes:
        seed: Decides the order of the prompts. The server draws with a secret of its own, so that two runs with one
            seed agree closely, not exactly.
        usd_weight: What one dollar is worth, in quality.
        in_flight: Prompts worked on at once.
        embedder: Name of the embedder.
        data: Where the prompts are; None for the installed package.
        out: Folder for results.
    """

    seed: int
    usd_weight: float
    in_flight: int
    embedder: str
    data: Path | None
    out: Path


@dataclass(slots=True)
class Tally:
    """What has come back so far.

    Attributes:
        chosen: (N,), for each prompt the column of the model that was chosen; -1 for none yet.
        sent_count: Outcomes that the server has acknowledged.
        applied_count: Those from which it says that it learnt.
        restarts_count: Times that the server was killed and started again.
    """

    chosen: Int64
    sent_count: int = 0
    applied_count: int = 0
    restarts_count: int = 0

    def add(self, done: Round) -> None:
        """Count one prompt."""
        self.chosen[done.row] = done.model_index
        self.sent_count += 1
        self.applied_count += done.applied


def run(settings: Settings) -> dict[str, Any]:
    """Run the demo; returns what summary.json holds.

    Raises:
        DemoError: Data, embedder or output folder are not usable, the server failed, or it forgot something.
    """
    try:
        with _owned(settings.out):
            return _run(settings, _console())
    except (BanditdError, EmbedError, ParetoBanditError, ServerError) as error:
        raise DemoError(str(error)) from error


def _console() -> Console:
    console = Console(highlight=False)
    # Elsewhere than on a terminal nobody knows the width; lines broken at 80 are hard to read and to search.
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def _run(settings: Settings, console: Console) -> dict[str, Any]:
    begin = time.monotonic()
    seconds: dict[str, float] = {}
    data = load_paretobandit(settings.data)
    display = Display(console, data.model_ids)
    counts = [data.rows_of(split).size for split in (LEARN_SPLIT, TEST_SPLIT)]
    display.done(f"{counts[0]:,} + {counts[1]:,} prompts, {len(data.model_ids)} models, from {data.origin}")
    with _timed(seconds, "embed"):
        embeddings = _embed(settings, data, display)
    tally = Tally(np.full(len(data), -1, dtype=np.int64))
    with ServerProcess(settings.out / "data", settings.out / "server.log") as server:
        with display.working("Starting a server; the first start on a machine compiles its kernels for half a minute"):
            seconds["start"] = server.start()
        _set_up(server.address, data, settings.usd_weight)
        display.done(f"Server on {server.address} after {seconds['start']:.1f} s; {_objective(settings.usd_weight)}")
        _replay_part(settings, data, embeddings, server.address, LEARN_SPLIT, "learning", display, tally, seconds)
        seconds["restart"] = _kill_and_restart(server, display, tally)
        _replay_part(settings, data, embeddings, server.address, TEST_SPLIT, "test", display, tally, seconds)
        books = _status(server.address).outcomes
        with display.working("Stopping the server"), _timed(seconds, "stop"):
            server.stop()
    if books.applied_count != tally.applied_count:
        raise DemoError(
            f"the server's books say {books.applied_count} outcomes applied, its answers {tally.applied_count}"
        )
    with display.working("Comparing, drawing"), _timed(seconds, "compare"):
        comparison = compare(data, tally.chosen, usd_weight=settings.usd_weight, seed=settings.seed)
        from banditd_sim.demo.picture import draw  # matplotlib takes a second to import

        draw(comparison, display.names, settings.out)
    seconds["total"] = time.monotonic() - begin
    result = summary(comparison) | {
        "outcomes_sent": tally.sent_count,
        "outcomes_applied": books.applied_count,
        "restarts": tally.restarts_count,
        "seed": settings.seed,
        "in_flight": settings.in_flight,
        "embedder": settings.embedder,
        "data": data.origin,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "versions": _versions(),
    }
    (settings.out / "summary.json").write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    console.print()
    console.print(result_table(comparison, display.names))
    for line in conclusions(comparison, display.names):
        console.print(line, markup=False)
    console.print(
        f"{tally.sent_count:,} outcomes sent, {books.applied_count:,} applied, {tally.restarts_count} restart; "
        f"{seconds['total']:.0f} s in all. Results in {settings.out}: summary.json, quality_cost.png.",
        markup=False,
    )
    return result


def _replay_part(
    settings: Settings,
    data: ParetoBanditData,
    embeddings: Float32,
    address: str,
    split: str,
    title: str,
    display: Display,
    tally: Tally,
    seconds: dict[str, float],
) -> None:
    """Route the prompts of a split and record their outcomes; shows it, and counts it in *tally* and *seconds*."""
    rows = shuffled_rows(data, split, settings.seed)
    with _timed(seconds, title), display.part(title, rows.size) as view:

        def on_round(done: Round) -> None:
            tally.add(done)
            row, k = done.row, done.model_index
            view.add(float(data.quality[row, k]), float(data.cost_usd[row, k]), k)

        replay(address, data, embeddings, rows, in_flight=settings.in_flight, on_round=on_round)
    quality = data.quality[rows, tally.chosen[rows]].mean()
    cost_usd = data.cost_usd[rows, tally.chosen[rows]].mean()
    display.done(
        f"{title}: {rows.size:,} prompts routed, outcomes recorded in {seconds[title]:.1f} s "
        f"({rows.size / seconds[title]:.0f}/s); quality {quality:.4f}, USD per 1,000 {cost_usd * 1000:.4f}"
    )


def _embed(settings: Settings, data: ParetoBanditData, display: Display) -> Float32:
    """Return one row per prompt; rows of an earlier run are taken from its folder."""
    begin = time.monotonic()
    with display.working(f"Embedding {len(data):,} prompts with {settings.embedder}"):
        embedder = resolve_embedder(settings.embedder)
        if isinstance(embedder, Column):
            raise DemoError(f"embedder: expected one that reads texts, got {settings.embedder!r}")
        rows = embed_cached(embedder, data.texts, settings.out / "embeddings")
    display.done(
        f"{len(data):,} embeddings of {rows.shape[1]} values with {settings.embedder} "
        f"in {time.monotonic() - begin:.1f} s"
    )
    return rows


def _set_up(address: str, data: ParetoBanditData, usd_weight: float) -> None:
    """Create the models at their catalogue prices and tell the router what a dollar is worth."""
    with Client(address, timeout=_CALL_SECONDS_MAX) as client:
        for k, model_id in enumerate(data.model_ids):
            price = (float(data.input_usd_per_1m[k]), float(data.output_usd_per_1m[k]))
            client.create_model(model_id, price=None if math.isnan(price[0]) else Price(*price))
        client.update_router("default", objective=Objective(usd_weight=usd_weight))


def _kill_and_restart(server: ServerProcess, display: Display, tally: Tally) -> float:
    """Kill the server, start it again, and see that nothing is forgotten; returns the seconds of the start.

    Raises:
        DemoError: Something is.
    """
    before = _settled_status(server.address)
    server.kill()
    with display.working("Killed the server (SIGKILL); starting it again on the same directory"):
        seconds = server.start()
    tally.restarts_count += 1
    after = _status(server.address)
    if (after.state_digest, after.outcomes, after.decisions) != (
        before.state_digest,
        before.outcomes,
        before.decisions,
    ):
        raise DemoError(
            f"the server forgot: state {before.state_digest} with {before.outcomes.applied_count} outcomes before "
            f"SIGKILL, {after.state_digest} with {after.outcomes.applied_count} after"
        )
    display.done(
        f"Killed (SIGKILL) after {tally.sent_count:,} outcomes, back after {seconds:.1f} s: all "
        f"{after.outcomes.applied_count:,} there, learnt state {before.state_digest[:12]} = {after.state_digest[:12]}"
    )
    return seconds


def _objective(usd_weight: float) -> str:
    said = f"it is to maximise quality - {usd_weight:g} x USD"
    if usd_weight > 0.0:
        said += f": 0.01 of quality is worth {10.0 / usd_weight:.3g} USD per 1,000 prompts"
    return said


def _known(status: PolicyStatus) -> tuple[object, ...]:
    # The digest is over everything learnt, bit for bit.
    return status.state_digest, status.policy_version, status.outcomes, status.decisions


def _status(address: str) -> PolicyStatus:
    with Client(address, timeout=_CALL_SECONDS_MAX) as client:
        return client.policy_status()


def _settled_status(address: str) -> PolicyStatus:
    """Return the status once it no longer changes: outcomes can make a new fit of the encoding due, which follows."""
    status = _status(address)
    while True:
        time.sleep(_SETTLE_SECONDS)
        previous, status = status, _status(address)
        if status.state_digest == previous.state_digest:
            return status


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    seconds[name] = time.monotonic() - begin


@contextmanager
def _owned(out: Path) -> Iterator[None]:
    """Make *out* ours: new, or an earlier demo's, whose server data is removed; not another running demo's.

    Raises:
        DemoError: It is none of these, for example somebody's data directory.
    """
    try:
        if out.exists() and not ((out / _MARKER).exists() or not any(out.iterdir())):
            raise DemoError(f"--out: expected a new folder or an earlier demo's, got {out}")
        out.mkdir(parents=True, exist_ok=True)
        marker = (out / _MARKER).open("wb")
    except OSError as error:
        raise DemoError(f"--out: {error.filename}: {error.strerror}") from error
    with marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"--out: another demo is using {out}") from None
        if (out / "data").exists():
            shutil.rmtree(out / "data")
        for name in ("server.log", "summary.json", "quality_cost.png", "quality_cost.svg"):
            (out / name).unlink(missing_ok=True)
        yield


def _versions() -> dict[str, str]:
    names = ("banditd", "banditd-client", "banditd-sim", "numpy", "numba", "grpcio")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"  # run from the source tree
    return found
