"""banditd-sim datasets: what can be loaded, and what is there."""

from __future__ import annotations

import click

from banditd_sim.cli.errors import told
from banditd_sim.cli.opening import known_datasets


@click.command()
def datasets() -> None:
    """List the data sets that can be named, and the forms of files that can be read."""
    with told():
        listed = known_datasets()
        width = max((len(name) for name, _ in listed), default=0)
        for name, about in listed:
            print(f"{name:{width}}  {about}")
