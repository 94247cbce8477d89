"""One picture: quality against cost, with what needs no learning below banditd and what knows everything above."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from banditd_sim.demo.accounting import Comparison, Point

NAME: Final = "quality_cost"
_PER: Final = 1000.0  # costs are shown per so many prompts
# Told apart by lightness as well, for whoever sees no colours.
_GREY, _BLUE, _ORANGE, _GREEN = "#444444", "#1f5fa8", "#d1701a", "#2c8a57"
# Where words cross a line, the words win.
_PAPER: Final = MappingProxyType({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6})


def draw(comparison: Comparison, names: Sequence[str], out: Path) -> None:
    """Write quality_cost.png and quality_cost.svg into the folder *out*.

    Args:
        comparison: What to show.
        names: The models' names, in the order of the constants.
        out: An existing folder.
    """
    # Text stays text, and two runs with the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": NAME, "font.size": 10.0}):
        figure = _figure(comparison, names)
        figure.savefig(out / f"{NAME}.png", dpi=160)
        figure.savefig(out / f"{NAME}.svg", metadata={"Date": None})


def _figure(comparison: Comparison, names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    axes = figure.subplots()
    _lines(axes, comparison)
    _constants(axes, comparison, names)
    # Below the fixed mix there is room on the right, above it on the left.
    _mark(axes, comparison.category, "best category table", marker="D", color=_GREEN, size=50, offset=(-10, 4))
    _mark(axes, comparison.oracle, "per-prompt oracle", marker="*", color=_ORANGE, size=170, offset=(-10, 5))
    _gain(axes, comparison)
    axes.set_xscale("log")
    axes.set_xlabel("cost in USD per 1,000 prompts (logarithmic)")
    axes.set_ylabel("mean quality")
    axes.set_title(
        f"{comparison.prompts_count:,} prompts of the test part; utility = quality - {comparison.usd_weight:g} x USD",
        loc="left",
        fontsize=11,
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.margins(x=0.09, y=0.1)
    axes.legend(loc="lower right", frameon=False)
    return figure


def _lines(axes: Any, comparison: Comparison) -> None:
    hull, frontier = comparison.hull, comparison.frontier
    # Straight lines between costs, which are curves on a logarithmic axis.
    cost = np.geomspace(hull.cost[0], max(p.cost_usd for p in comparison.constants.values()), 400)
    axes.plot(cost * _PER, np.interp(cost, hull.cost, hull.quality), color=_GREY, label="fixed mix of the models")
    cost = np.geomspace(frontier.cost[0], hull.cost[-1], 400)
    axes.plot(
        cost * _PER,
        np.interp(cost, frontier.cost, frontier.quality),
        color=_ORANGE,
        linestyle=(0, (1, 2)),
        label="limit, were every outcome known beforehand",
    )


def _constants(axes: Any, comparison: Comparison, names: Sequence[str]) -> None:
    cheapest = min(point.cost_usd for point in comparison.constants.values())
    for (model_id, point), name in zip(comparison.constants.items(), names, strict=True):
        # Away from the line and from the picture's edge.
        offset, align = ((8.0, 7.0), "left")
        if point.cost_usd == cheapest:
            offset = (0.0, -17.0)
        elif model_id == comparison.dearest:
            offset, align = (5.0, 9.0), "right"
        _mark(axes, point, f"always {name}", marker="o", color=_GREY, size=55, offset=offset, align=align)


def _gain(axes: Any, comparison: Comparison) -> None:
    """Draw banditd, and how far it is above the fixed mix."""
    point, (low, high) = comparison.banditd, comparison.gain_interval
    axes.plot(
        [point.cost_usd * _PER] * 2,
        [comparison.fixed_mix_quality, point.quality],
        color=_BLUE,
        linewidth=1.2,
        zorder=3,
        label="banditd's gain over the mix at equal cost [95 %]",
    )
    _mark(axes, point, "banditd", marker="o", color=_BLUE, size=110, offset=(-11, -6), weight="bold")
    axes.annotate(
        f"{comparison.gain_over_fixed_mix:+.3f}\n[{low:+.3f}, {high:+.3f}]",
        (point.cost_usd * _PER, (comparison.fixed_mix_quality + point.quality) / 2.0),
        xytext=(-7, -4),
        textcoords="offset points",
        color=_BLUE,
        fontsize=8.5,
        ha="right",
        va="center",
        bbox=dict(_PAPER),
    )


def _mark(
    axes: Any,
    point: Point,
    text: str,
    *,
    marker: str,
    color: str,
    size: float,
    offset: tuple[float, float],
    align: str = "right",
    weight: str = "normal",
) -> None:
    axes.scatter([point.cost_usd * _PER], [point.quality], s=size, marker=marker, color=color, zorder=4)
    axes.annotate(
        text,
        (point.cost_usd * _PER, point.quality),
        xytext=offset,
        textcoords="offset points",
        ha=align,
        color=color,
        fontweight=weight,
        bbox=dict(_PAPER),
    )
