"""Plots, as PNG and SVG: they draw only what the tables hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from banditd_sim.environments.baselines import CONSTANT_PREFIX, is_baseline
from banditd_sim.experiments.plan import slug
from banditd_sim.ope.arrays import Float64
from banditd_sim.report.curves import Curves
from banditd_sim.report.labels import Obstacles, name_points
from banditd_sim.report.schema import Row, Summary

_PER: Final = 1000.0  # costs are shown per so many prompts
_GREY: Final = "#555555"
_LIGHT_GREY: Final = "#aaaaaa"
# Okabe and Ito's colours, which people with any colour vision tell apart.
_COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b6914", "#7a3b8f")
_ORACLE_COLOR: Final = "#b8860b"
_DASHES: Final = ("-", (0, (5, 2)), (0, (2, 1)), (0, (5, 1, 1, 1)), (0, (8, 3)), (0, (1, 2)), (0, (3, 1, 1, 1, 1, 1)))
# More names than this on a picture are noise.
_NAMED_MODELS: Final = 8


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture on disk.

    Attributes:
        name: File name without ending.
        title: What it shows.
        caption: How to read it.
        dataset: Whose it is.
        scenario: Likewise.
    """

    name: str
    title: str
    caption: str
    dataset: str
    scenario: str


def draw_all(out: Path, summary: Summary, curves: Curves) -> list[Plot]:
    """Draw every plot that there is something for; returns them in reading order.

    Args:
        out: An existing folder; the files go into its folder `plots`.
        summary: The figures.
        curves: What changes over rounds.
    """
    (out / "plots").mkdir(exist_ok=True)
    plots = []
    for dataset, scenario in dict.fromkeys((row.dataset, row.scenario) for row in summary.rows):
        here = {"dataset": dataset, "scenario": scenario}
        rows = [row for row in summary.rows if (row.dataset, row.scenario) == (dataset, scenario)]
        for plot, figure in _figures(here, rows, curves):
            save(figure, out / "plots" / plot.name)
            plots.append(plot)
    return plots


def save(figure: Figure, path: Path) -> None:
    """Write PATH.png and PATH.svg; equal figures give equal files."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.name}):
        figure.savefig(path.with_name(f"{path.name}.png"), dpi=140)
        figure.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None})


def _figures(here: dict[str, str], rows: Sequence[Row], curves: Curves) -> Iterator[tuple[Plot, Figure]]:
    stem = f"{slug(here['dataset'])}.{here['scenario']}"

    def of_here(table: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in table if all(row[key] == value for key, value in here.items())]

    yield (
        Plot(
            f"{stem}.plane",
            "Cost and quality",
            "Up and to the left is better. The grey line is what mixing models at random gives: below it a router is "
            "not worth having. The dotted line is what knowing every answer beforehand would give. Bars are 95 % "
            "intervals over seeds.",
            **here,
        ),
        _plane(rows, of_here(curves.plane)),
    )
    over_time = of_here(curves.over_time)
    yield (
        Plot(
            f"{stem}.regret",
            "Utility lost, summed",
            "How much each policy has lost against the best model of every prompt, which nobody can know. Flatter is "
            "better; the band holds 80 % of the seeds.",
            **here,
        ),
        _regret(over_time),
    )
    shares = of_here(curves.shares)
    if shares:
        yield (
            Plot(
                f"{stem}.shares",
                "Who answers",
                "Share of the prompts that each model gets, over time.",
                **here,
            ),
            _shares(shares),
        )
    budgeted = [row for row in over_time if row["budget_in_force_usd"] is not None]
    if budgeted:
        yield (
            Plot(
                f"{stem}.budget",
                "Money spent",
                "Mean cost of the last 100 prompts against the budget in force (black).",
                **here,
            ),
            _budget(budgeted),
        )


def _plane(rows: Sequence[Row], lines: Sequence[dict[str, Any]]) -> Figure:
    figure, axes = _canvas()
    around = Obstacles(lines=_lines(axes, lines))
    around.marks = [(row.cost_usd * _PER, row.quality) for row in rows]
    constants = [row for row in rows if row.policy.startswith(CONSTANT_PREFIX)]
    corner = {row["model"] for row in lines if row["line"] == "hull"}
    axes.scatter(
        [row.cost_usd * _PER for row in constants], [row.quality for row in constants], s=36, color=_GREY, zorder=3
    )
    markers = cycle("sDv^P")
    for policy in dict.fromkeys(row.policy for row in rows if is_baseline(row.policy)):
        if not policy.startswith(CONSTANT_PREFIX):
            marks = [row for row in rows if row.policy == policy]
            axes.scatter(
                [row.cost_usd * _PER for row in marks],
                [row.quality for row in marks],
                s=45,
                marker=next(markers),
                facecolor="white",
                edgecolor=_ORACLE_COLOR if policy == "oracle" else _GREY,
                label=policy.replace("_", " "),
                zorder=4,
            )
    for color, policy in zip(cycle(_COLORS), dict.fromkeys(r.policy for r in rows if r.kind == "policy"), strict=False):
        marks = sorted((row for row in rows if row.policy == policy), key=lambda row: row.cost_usd)
        ends = [row.quality_ci or (row.quality, row.quality) for row in marks]
        low = [row.quality - end[0] for row, end in zip(marks, ends, strict=True)]
        high = [end[1] - row.quality for row, end in zip(marks, ends, strict=True)]
        around.bars += [(row.cost_usd * _PER, *end) for row, end in zip(marks, ends, strict=True)]
        axes.errorbar(
            [row.cost_usd * _PER for row in marks],
            [row.quality for row in marks],
            yerr=[low, high],
            color=color,
            marker="o",
            markersize=7,
            capsize=3,
            linewidth=1.4,
            label=policy,
            zorder=5,
        )
    if max(row.cost_usd for row in rows) > 0.0:
        axes.set_xscale("log")
        axes.set_xlabel("cost in USD per 1,000 prompts (logarithmic)")
        _number(axes.xaxis, (1.0, 2.0, 5.0))
    else:
        axes.set_xlabel("costs are unknown")
        axes.set_xticks([])
    axes.set_ylabel("mean quality")
    axes.margins(x=0.08, y=0.08)
    shown = _crop(axes, rows, lines)
    _legend(axes)
    named = [(row, row.policy.removeprefix(CONSTANT_PREFIX)) for row in constants if row.quality >= shown]
    name_points(
        axes,
        [
            (row.cost_usd * _PER, row.quality, _short(model))
            for row, model in named
            if model in corner or len(constants) <= _NAMED_MODELS  # others would cover one another
        ],
        around,
    )
    return figure


def _crop(axes: Any, rows: Sequence[Row], lines: Sequence[dict[str, Any]]) -> float:
    """Leave bad models below the picture, so that what is compared has room; says how many they are.

    Returns the least quality that is in the picture.
    """
    constants = [row.quality for row in rows if row.policy.startswith(CONSTANT_PREFIX)]
    others = [row.quality for row in rows if not row.policy.startswith(CONSTANT_PREFIX)]
    others += [line["quality"] for line in lines]
    others += [end for row in rows if row.kind == "policy" for end in row.quality_ci or ()]
    low, high = min(others), max([*others, *constants])
    bottom = low - 0.1 * (high - low)
    lost = sum(quality < bottom for quality in constants)
    if lost:
        axes.set_ylim(bottom, high + 0.05 * (high - low))
        told = f"{lost} {'model is' if lost == 1 else 'models are'} below the picture"
        axes.text(0.01, 0.015, told, transform=axes.transAxes, fontsize=8, color=_GREY)
    return bottom


def _lines(axes: Any, lines: Sequence[dict[str, Any]]) -> list[Float64]:
    """Draw hull and oracle; straight in money, so bent on a logarithmic axis. Returns their points, each (n, 2)."""
    drawn = []
    for line, color, dash, label in (
        ("hull", _GREY, "-", "fixed mix of models"),
        ("oracle", _ORACLE_COLOR, (0, (1, 2)), "limit, every outcome known"),
    ):
        cost = np.array([row["cost_usd"] for row in lines if row["line"] == line])
        quality = np.array([row["quality"] for row in lines if row["line"] == line])
        if not len(cost):
            continue
        low = max(cost[0], cost[-1] * 1e-6, 1e-12)
        grid = np.geomspace(low, max(cost[-1], low * 1.0001), 300)
        drawn.append(np.column_stack([grid * _PER, np.interp(grid, cost, quality)]))
        axes.plot(*drawn[-1].T, color=color, linestyle=dash, label=label, zorder=2)
    return drawn


def _regret(over_time: Sequence[dict[str, Any]]) -> Figure:
    figure, axes = _canvas()
    for (policy, budget), style in _styled(over_time):
        points = [row for row in over_time if (row["policy"], row["budget_usd"]) == (policy, budget)]
        x = [row["round"] for row in points]
        axes.plot(x, [row["regret"] for row in points], label=_label(policy, budget), **style)
        if not is_baseline(policy):
            low, high = ([row[name] for row in points] for name in ("regret_low", "regret_high"))
            axes.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
    axes.set_xlabel("measured prompts")
    axes.set_ylabel("utility lost against the best model of each prompt")
    axes.margins(x=0.01)
    _legend(axes)
    return figure


def _shares(shares: Sequence[dict[str, Any]]) -> Figure:
    groups = list(dict.fromkeys((row["policy"], row["budget_usd"]) for row in shares))[:6]
    figure = Figure(figsize=(8.4, 0.7 + 2.1 * len(groups)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0])
    total: dict[str, float] = {}
    for row in shares:
        total[row["model"]] = total.get(row["model"], 0.0) + row["share"]
    named = sorted(total, key=lambda model: -total[model])[:_NAMED_MODELS]
    for axes, (policy, budget) in zip(panels, groups, strict=True):
        points = [row for row in shares if (row["policy"], row["budget_usd"]) == (policy, budget)]
        starts = sorted({row["start"] for row in points})
        stop = max(row["stop"] for row in points)
        table = {(row["start"], row["model"]): row["share"] for row in points}
        stack = [[table[start, model] for start in starts] for model in named]
        rest = 1.0 - np.sum(stack, axis=0)
        labels, colors = [_short(model) for model in named], list(_COLORS[: len(named)])
        if float(rest.max()) > 1e-9:
            stack.append(np.maximum(rest, 0.0).tolist())
            labels.append("all others")
            colors.append("#bbbbbb")
        axes.stackplot(
            [*starts, stop], [[*row, row[-1]] for row in stack], step="post", labels=labels, colors=colors, linewidth=0
        )
        axes.set_ylim(0.0, 1.0)
        axes.set_xlim(starts[0], stop)
        axes.set_title(_label(policy, budget), loc="left", fontsize=10)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    panels[-1].set_xlabel("measured prompts")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8.5)
    return figure


def _budget(over_time: Sequence[dict[str, Any]]) -> Figure:
    figure, axes = _canvas()
    drawn: set[float | None] = set()
    for (policy, budget), style in _styled(over_time):
        points = [row for row in over_time if (row["policy"], row["budget_usd"]) == (policy, budget)]
        x = [row["round"] for row in points]
        axes.plot(x, [row["cost_usd_trailing"] * _PER for row in points], label=_label(policy, budget), **style)
        if budget not in drawn:
            drawn.add(budget)
            axes.plot(x, [row["budget_in_force_usd"] * _PER for row in points], color="black", linewidth=1.0)
    axes.set_yscale("log")
    # Spends lie near one another: closer marks, so that there are always some.
    _number(axes.yaxis, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
    axes.set_xlabel("measured prompts")
    axes.set_ylabel("USD per 1,000 prompts (logarithmic)")
    axes.margins(x=0.01)
    _legend(axes)
    return figure


def _styled(over_time: Sequence[dict[str, Any]]) -> Iterator[tuple[tuple[str, float | None], dict[str, Any]]]:
    """Yield each policy and budget with its line's style: policies in colour, baselines thin and grey."""
    keys = dict.fromkeys((row["policy"], row["budget_usd"]) for row in over_time)
    colors, thin = cycle(_COLORS), cycle(product((_GREY, _LIGHT_GREY), _DASHES))
    for key in keys:
        if is_baseline(key[0]):
            grey, dash = next(thin)
            color = _ORACLE_COLOR if key[0] == "oracle" else grey
            yield key, {"color": color, "linewidth": 1.0, "linestyle": dash, "zorder": 2}
        else:
            yield key, {"color": next(colors), "linewidth": 2.0, "zorder": 3}


def _canvas() -> tuple[Figure, Any]:
    figure = Figure(figsize=(8.4, 5.0), layout="constrained")
    axes = figure.subplots()
    axes.grid(color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _number(axis: Any, subs: tuple[float, ...]) -> None:
    """Mark a logarithmic axis at these multiples of powers of ten, in plain numbers."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _legend(axes: Any) -> None:
    """Put the legend beside the picture, where it hides nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8.5)


def _label(policy: str, budget: float | None) -> str:
    name = policy if not is_baseline(policy) else policy.replace("_", " ")
    if policy.startswith(CONSTANT_PREFIX):
        name = "always " + _short(policy.removeprefix(CONSTANT_PREFIX))
    return name if budget is None else f"{name}, {budget * _PER:g} USD/1,000"


def _short(model_id: str) -> str:
    """Return a model's name without its maker."""
    return model_id.rpartition("/")[2]
