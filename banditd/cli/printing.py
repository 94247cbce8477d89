"""What the verbs print for people: whole, however narrow the terminal or the pipe is."""

from rich.console import Console
from rich.table import Table

# Wider than any table here.
_WIDEST_CHARACTERS = 10_000


def print_line(text: str) -> None:
    """Print *text* as it is; the terminal breaks what does not fit."""
    Console(markup=False, highlight=False).print(text, soft_wrap=True)


def print_table(table: Table) -> None:
    """Print *table* at least as wide as its values are, for a cut number says nothing."""
    console = Console(markup=False, highlight=False)
    width = console.measure(table, options=console.options.update(max_width=_WIDEST_CHARACTERS)).maximum
    if width > console.width:
        console = Console(markup=False, highlight=False, width=width)
    console.print(table)
