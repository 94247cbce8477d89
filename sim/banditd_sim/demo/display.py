"""What the demo shows: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from banditd_sim.demo.accounting import Comparison, Point

# Rounds of which the live figures are means: few enough to see it learn, enough that chance does not dominate.
_RECENT_ROUNDS: Final = 250
# Elsewhere than on a terminal, lines per part.
_PLAIN_LINES: Final = 5
_BAR_CHARS: Final = 24
_REFRESHES_PER_SECOND: Final = 5


class Display:
    """The console.

    Args:
        console: Where to print.
        model_ids: The models, in the order of the data.
    """

    def __init__(self, console: Console, model_ids: Sequence[str]) -> None:
        self.console = console
        self.names = short_names(model_ids)

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Say what is going on, while it is going on."""
        if self.console.is_terminal:
            with self.console.status(what):
                yield
        else:
            self.console.print(f"{what} …")
            yield

    def done(self, what: str) -> None:
        """Say what is done."""
        self.console.print(f"[green]✓[/green] {escape(what)}")

    @contextlib.contextmanager
    def part(self, title: str, rounds_count: int) -> Iterator[PartView]:
        """Show how a part of the prompts is going, from `PartView.add` to the end of the context."""
        view = PartView(title, rounds_count, self.names)
        if not self.console.is_terminal:
            view.on_line = self.console.print
            yield view
            return
        # Shown as long as it lasts; what remains is the line that the caller prints.
        with Live(
            get_renderable=view.render,
            console=self.console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
        ):
            yield view


class PartView:
    """How a part is going: counts, and means of the recent rounds."""

    def __init__(self, title: str, rounds_count: int, names: Sequence[str]) -> None:
        self._title = title
        self._count = rounds_count
        self._names = names
        self._recent: deque[tuple[float, float, int]] = deque(maxlen=_RECENT_ROUNDS)
        self._done = 0
        self._begin = time.monotonic()
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
        )
        self._task = self._progress.add_task(title, total=rounds_count, rate="")
        self.on_line: Callable[[str], None] = _nowhere

    def add(self, quality: float, cost_usd: float, model_index: int) -> None:
        """Count one round."""
        self._recent.append((quality, cost_usd, model_index))
        self._done += 1
        if self._done * _PLAIN_LINES // self._count > (self._done - 1) * _PLAIN_LINES // self._count:
            self.on_line(f"  {self._title} {self._done:,}/{self._count:,}; last {len(self._recent)}: {self._line()}")

    def render(self) -> RenderableType:
        """Return bar, means and shares."""
        rate = self._done / max(time.monotonic() - self._begin, 1e-9)
        self._progress.update(self._task, completed=self._done, rate=f"{rate:.0f} prompts/s")
        if not self._recent:
            return self._progress
        quality, cost_usd = self._means()
        means = Text.from_markup(
            f"  the last {len(self._recent)}: quality [bold]{quality:.3f}[/bold], "
            f"USD per 1,000 [bold]{cost_usd * 1000:.3f}[/bold]"
        )
        shares = Table.grid(padding=(0, 1))
        for name, share in zip(self._names, self._shares(), strict=True):
            bar = Text("█" * round(share * _BAR_CHARS), style="cyan")
            shares.add_row("   ", name, Text(f"{share:.0%}", justify="right"), bar)
        return Group(self._progress, means, shares)

    def _means(self) -> tuple[float, float]:
        count = len(self._recent)
        return sum(q for q, _, _ in self._recent) / count, sum(c for _, c, _ in self._recent) / count

    def _shares(self) -> list[float]:
        counts = Counter(k for _, _, k in self._recent)
        return [counts[k] / len(self._recent) for k in range(len(self._names))]

    def _line(self) -> str:
        quality, cost_usd = self._means()
        return f"quality {quality:.3f}, USD per 1,000 {cost_usd * 1000:.3f}, " + ", ".join(
            f"{name} {share:.0%}" for name, share in zip(self._names, self._shares(), strict=True)
        )


def short_names(model_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the models' names without their makers', if they are then still different."""
    short = tuple(model_id.rpartition("/")[2] for model_id in model_ids)
    return short if len(set(short)) == len(short) else tuple(model_ids)


def result_table(comparison: Comparison, names: Sequence[str]) -> Table:
    """Return the comparison as a table."""
    table = Table(
        title=f"Test part: {comparison.prompts_count:,} prompts, each routed before its outcome was known",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("who decides")
    table.add_column("quality", justify="right")
    table.add_column("USD per 1,000", justify="right")
    table.add_column("utility", justify="right")

    def add(who: str, point: Point, style: str = "") -> None:
        utility = comparison.utility(point)
        table.add_row(who, f"{point.quality:.4f}", f"{point.cost_usd * 1000:,.4f}", f"{utility:.4f}", style=style)

    for name, point in zip(names, comparison.constants.values(), strict=True):
        add(f"always {name}", point)
    table.add_section()
    add("fixed mix of these at banditd's cost", Point(comparison.fixed_mix_quality, comparison.banditd.cost_usd))
    add("banditd", comparison.banditd, "bold green")
    add(r"best category table \[1]", comparison.category)
    add(r"per-prompt oracle \[2]", comparison.oracle)
    return table


def conclusions(comparison: Comparison, names: Sequence[str]) -> list[str]:
    """Return what follows from the table, in sentences."""
    low, high = comparison.gain_interval
    dearest = dict(zip(comparison.constants, names, strict=True))[comparison.dearest]
    lost = comparison.quality_lost
    gain = (
        f"At equal cost banditd's quality is {comparison.gain_over_fixed_mix:+.4f} against the fixed mix "
        f"(95 % interval {low:+.4f} to {high:+.4f}, bootstrap over prompts)."
    )
    saving = (
        f"Against always {dearest}, the dearest, it saved {comparison.saved_share:.1%} of the cost "
        f"and {'lost' if lost >= 0.0 else 'won'} {abs(lost):.4f} of quality."
    )
    table = (
        "[1] Per benchmark the model with the best mean utility on the val part, from the outcomes of all models: "
        "more than banditd gets, which sees only those of the model it chose, and is not told the benchmark."
    )
    oracle = "[2] Per prompt the model with the best utility, known beforehand: nobody's to have."
    return [gain, saving, table, oracle]


def _nowhere(_: str) -> None:
    pass
