"""Errors on the command line: one line each, on standard error, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from banditd_sim.environments.errors import SimError
from banditd_sim.metrics import MetricError
from banditd_sim.ope import OpeError

BAD_INPUT: Final = 2
REFUSED: Final = 3
INTERRUPTED: Final = 130


@contextmanager
def told() -> Iterator[None]:
    """Turn what this package raises on purpose into a message and an exit code."""
    try:
        yield
    except (SimError, OpeError, MetricError) as error:
        click.echo(f"banditd-sim: {error}", err=True)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        click.echo("banditd-sim: interrupted; the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)
