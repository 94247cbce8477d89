"""Progress: a bar on a terminal, plain lines elsewhere. Both go to standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress(Protocol):
    """Is told how much of how much is done, and what was done last."""

    def __call__(self, done: int, total: int, label: str = "") -> None:
        """Tell it."""


# Between two plain lines, in seconds; the first and the last are always told.
_LINE_SECONDS: Final = 5.0


@contextmanager
def progress(unit: str) -> Iterator[Progress]:
    """Yield what a run tells its progress to; *unit* is what is counted, in the plural."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=console, transient=True) as bar:
            line = bar.add_task("starting", total=None)
            yield lambda done, total, label="": bar.update(
                line, completed=done, total=total, description=label[-60:] or unit
            )
        return
    last = -_LINE_SECONDS

    def tell(done: int, total: int, label: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if done in {0, total} or now - last >= _LINE_SECONDS:
            last = now
            print(f"{done}/{total} {unit}{': ' if label else ''}{label}", file=sys.stderr, flush=True)

    yield tell


def wide_console() -> Console:
    """Return a console for standard output; elsewhere than on a terminal, lines are wide enough for a table."""
    console = Console()
    return console if console.is_terminal else Console(width=160)
