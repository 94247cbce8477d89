"""banditd-sim: what would a policy have achieved, before anything goes live?"""

from __future__ import annotations

import sys
from importlib import metadata

import click

from banditd_sim.cli.datasets import datasets
from banditd_sim.cli.ope import ope
from banditd_sim.cli.run import run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="banditd-sim", message="%(prog)s %(version)s")
def commands() -> None:
    """Replay recorded outcomes, and evaluate policies from logs.

    Exit codes: 0 done, 2 asked for something that cannot be, 3 refused for want of support in the log, 130 interrupted
    (the same command goes on where it stopped).
    """


commands.add_command(run)
commands.add_command(run, "replay")
commands.add_command(ope)
commands.add_command(datasets)


def main() -> None:
    """Run the command line."""
    try:
        commands(prog_name="banditd-sim")
    except metadata.PackageNotFoundError as error:
        click.echo(f"banditd-sim: {error} is not installed", err=True)
        sys.exit(2)
