"""The report of an off-policy evaluation: tables, a forest plot and one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from matplotlib.figure import Figure

from banditd_sim.experiments.keep import write_whole
from banditd_sim.ope import DEFAULT_INTERVALS
from banditd_sim.report.ope_schema import OpeRow, OpeSummary, OpeTarget
from banditd_sim.report.page import glossary, heading, page, paragraph, picture, preformatted, table
from banditd_sim.report.plots import save
from banditd_sim.report.tables import write_csv

_BLUE, _GREY = "#0072b2", "#555555"
_LOGGED: Final = "logged"
# The estimator whose figure a headline names, in order of preference: doubly robust, then without a model.
_PREFERRED: Final = ("dr", "sndr", "dr_os", "switch_dr", "snips", "ips", "replay", "mean")
_WORDS: Final = (
    (
        "off-policy evaluation",
        "What another policy would have earned on the same prompts, from what this one's log holds.",
    ),
    ("dr, doubly robust", "A model of the rewards, corrected where the log has the truth. Right if either part is."),
    ("ips, snips", "Logged rewards, weighted by how much more often the other policy would have made that choice."),
    ("dm", "The model of the rewards alone. Its error does not show in its spread, so it gets no interval."),
    ("replay", "The policy learns and is measured where it chose what the log has; other rounds are passed over."),
    ("effective rounds", "How many rounds of the target itself the weighted log is worth. Few mean little is known."),
    ("refused", "The log holds too little about what the policy would do; any number would be invented."),
)


def write_ope_report(out: Path, summary: OpeSummary) -> None:
    """Write ope.json, ope.csv, plots/ope.forest.png and .svg, and report.html into *out*; made if absent."""
    (out / "plots").mkdir(parents=True, exist_ok=True)
    plain: dict[str, Any] = msgspec.to_builtins(summary)
    write_whole(out / "ope.json", json.dumps(plain, indent=1, allow_nan=False).encode() + b"\n")
    write_csv(out / "ope.csv", plain["rows"], OpeRow.__struct_fields__)
    body = [heading("What would other policies have achieved?", 1)]
    body.append(
        paragraph(
            f"Estimated from {summary.rounds:,} logged rounds of {summary.log}, {len(summary.models)} models; "
            f"{summary.censored_rounds:,} rounds have no reward.",
            "note",
        )
    )
    body += [paragraph(text, "lead") for text in ope_headlines(summary)]
    if summary.rows:
        save(forest(summary), out / "plots" / "ope.forest")
        body.append(
            picture(
                out / "plots" / "ope.forest.svg",
                "Estimates and their intervals",
                "Each line is one estimate with its 95 % interval; dashed is what the logging policy received. "
                "Estimators that disagree by more than their intervals are a warning.",
            )
        )
        body.append(_estimates(summary))
    body += [heading("Can it be trusted?"), _trust(summary), heading("Words"), glossary(_WORDS)]
    about = {
        "log": summary.log,
        "fingerprint": summary.fingerprint,
        "missing": summary.missing,
        "seed": summary.seed,
        "versions": summary.versions,
    }
    body += [heading("How this was made"), preformatted(json.dumps(about, indent=1))]
    write_whole(out / "report.html", page("banditd-sim off-policy evaluation", body))


def ope_headlines(summary: OpeSummary) -> list[str]:
    """Return a sentence per target."""
    logged = next((row for row in summary.rows if row.target == _LOGGED), None)
    texts = []
    for about in summary.targets:
        if about.refusal:
            texts.append(f"{about.target}: refused. {about.refusal}.")
            continue
        rows = {row.estimator: row for row in summary.rows if row.target == about.target and row.low is not None}
        best = next((rows[name] for name in _PREFERRED if name in rows), None)
        if best is None:
            continue
        ends = f"{best.low:.4f} to {best.high:.4f}, {best.estimator}"
        text = f"{about.target} would have received {best.value:.4f} per round ({ends})"
        if logged is not None and best.low is not None and best.high is not None:
            text += f"; the logging policy received {logged.value:.4f}"
            if best.low > logged.value:
                text += ", which is less"
            elif best.high < logged.value:
                text += ", which is more"
            else:
                text += ": no clear difference"
        texts.append(text + ".")
    return texts


def forest(summary: OpeSummary) -> Figure:
    """Return the forest plot: a line per target and estimator."""
    rows = summary.rows
    figure = Figure(figsize=(8.4, 1.1 + 0.27 * len(rows)), layout="constrained")
    axes = figure.subplots()
    logged = next((row for row in rows if row.target == _LOGGED), None)
    if logged is not None:
        axes.axvline(logged.value, color=_GREY, linestyle=(0, (4, 3)), linewidth=1.0)
    labels, last = [], ""
    for y, row in enumerate(rows):
        color = _GREY if row.target == _LOGGED else _BLUE
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [y, y], color=color, linewidth=1.6)
        axes.plot(
            [row.value], [y], marker="s", markersize=5, color=color, fillstyle="full" if row.low is not None else "none"
        )
        if row.target != last and y:
            axes.axhline(y - 0.5, color="#dddddd", linewidth=0.8)
        kind = "" if row.interval in {"normal", *DEFAULT_INTERVALS} else f", {row.interval.replace('_', ' ')}"
        labels.append(f"{row.target}: {row.estimator}{kind}" if row.target != last else f"{row.estimator}{kind}")
        last = row.target
    axes.set_yticks(np.arange(len(rows)), labels, fontsize=8.5)
    axes.invert_yaxis()
    axes.margins(y=0.02)
    axes.set_xlabel("mean reward per round")
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return figure


def _estimates(summary: OpeSummary) -> str:
    header = (
        "target",
        "estimator",
        "value",
        "95 % interval",
        "kind",
        "standard error",
        "parameter",
        "no interval because",
    )
    cells = [
        (
            row.target,
            row.estimator,
            f"{row.value:.4f}",
            "" if row.low is None or row.high is None else f"{row.low:.4f} to {row.high:.4f}",
            row.interval.replace("_", " "),
            "" if row.standard_error is None else f"{row.standard_error:.4f}",
            "" if row.parameter is None else f"{row.parameter:.4g}",
            row.refusal,
        )
        for row in summary.rows
    ]
    return table(header, cells, [row.estimator == "dr" for row in summary.rows])


def _trust(summary: OpeSummary) -> str:
    header = (
        "target",
        "effective rounds",
        "largest weight",
        "mean weight",
        "without support",
        "calibration p",
        "refused",
    )

    def cells(about: OpeTarget) -> tuple[str, ...]:
        return (
            about.target,
            _number(about.ess, ".0f"),
            _number(about.weight_largest, ".3g"),
            _number(about.weight_mean, ".3f"),
            "" if about.unsupported_mass is None else f"{100.0 * about.unsupported_mass:.2g} %",
            _number(about.calibration_p_value, ".3g"),
            about.refusal_reason,
        )

    return table(
        header, [cells(about) for about in summary.targets], [bool(about.refusal) for about in summary.targets]
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
