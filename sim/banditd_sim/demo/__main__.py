"""`python -m banditd_sim.demo`: the demo's options, and its end by signal."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import click

# Utility = quality - usd_weight * USD. At 275 the cheap and the middle model are about equally good deals, so that it
# depends on the prompt which is better. At 0 money is no object and the dearest wins, at 10,000 the cheapest.
USD_WEIGHT = 275.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Decides the order of prompts.")
@click.option(
    "--usd-weight",
    default=USD_WEIGHT,
    show_default=True,
    type=click.FloatRange(0.0, 1e9),
    help="What one dollar is worth, in quality.",
)
@click.option(
    "--in-flight",
    default=16,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Prompts worked on at once; what one of them teaches, the others do not know yet.",
)
@click.option("--embedder", default="ngram", show_default=True, help="ngram, minilm (extra embed) or MODULE:CALLABLE.")
@click.option("--data", type=click.Path(path_type=Path), help="Wheel or folder in the place of installed paretobandit.")
@click.option(
    "--out", default=Path("out/demo"), show_default=True, type=click.Path(path_type=Path), help="Folder for results."
)
def demo(*, seed: int, usd_weight: float, in_flight: int, embedder: str, data: Path | None, out: Path) -> None:
    """Route real prompts with a real server and compare with the baselines; results in OUT."""
    from banditd_sim.demo.run import DemoError, Settings, run

    try:
        run(Settings(seed, usd_weight, in_flight, embedder, data, out))
    except DemoError as error:
        raise click.ClickException(str(error)) from error


def main() -> None:
    """Run the demo; a signal ends it as Ctrl-C does, with the server stopped and no traceback."""
    received = [signal.SIGINT]

    def on_signal(number: int, _: FrameType | None) -> None:
        received[:] = [signal.Signals(number)]
        signal.raise_signal(signal.SIGINT)  # the way out that asyncio knows

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        demo(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped; the server is stopped, too.", err=True)
        sys.exit(128 + received[0])


if __name__ == "__main__":
    main()
