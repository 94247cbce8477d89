"""Errors on the command line: one line each, on standard error, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from banditd_sim.datasets import DatasetError
from banditd_sim.embed import EmbedError
from banditd_sim.environments.errors import SimError
from banditd_sim.metrics import MetricError
from banditd_sim.ope import OpeError
from banditd_sim.table import TableError
from banditd_sim.worlds import WorldError

BAD_INPUT: Final = 2
REFUSED: Final = 3
INTERRUPTED: Final = 130


@contextmanager
def told() -> Iterator[None]:
    """Turn what this package raises on purpose into a message and an exit code."""
    try:
        yield
    except (SimError, OpeError, MetricError, DatasetError, TableError, WorldError, EmbedError) as error:
        click.echo(f"banditd-sim: {error}", err=True)
        sys.exit(BAD_INPUT)
    except OSError as error:
        # Of the result's folder or the cache of embeddings; what data could not be read is a DatasetError.
        click.echo(f"banditd-sim: {error.filename or 'files'}: {error.strerror or error}", err=True)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        click.echo("banditd-sim: interrupted; the same command goes on from here", err=True)
        sys.exit(INTERRUPTED)
