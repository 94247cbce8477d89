"""The report of an experiment: the answer first, then figures, pictures, words, settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from banditd_sim.environments.baselines import CONSTANT_PREFIX, is_baseline
from banditd_sim.experiments.keep import write_whole
from banditd_sim.report.page import glossary, heading, page, paragraph, picture, preformatted, table
from banditd_sim.report.plots import Plot
from banditd_sim.report.schema import Ci, Frontier, Phase, Row, Summary

_PER: Final = 1000.0
_HEADER: Final = (
    "policy",
    "budget, USD per 1,000",
    "quality",
    "95 % interval",
    "USD per 1,000",
    "cost / budget",
    "gain over fixed mix",
    "95 % interval",
    "gain over chosen mix",
    "way to oracle",
    "utility",
)
_WORDS: Final = (
    ("quality", "How good the answers were on average, from 0 to 1, as the data set scores them."),
    ("fixed mix", "Send each prompt to one of two models by the flip of a weighted coin. It needs no learning at all."),
    (
        "gain over fixed mix",
        "Quality minus that of the best fixed mix at equal cost, chosen in hindsight. Above zero is good.",
    ),
    ("gain over chosen mix", "The same, but the mix is one that could have been chosen from the history."),
    (
        "way to oracle",
        "How far from the fixed mix to the best that anybody who knew all answers could do, at that cost.",
    ),
    ("utility", "Quality minus what the money and time were worth, by the weights of this experiment."),
    ("category table", "The best model for each category of prompts, from the history."),
    ("prompt length", "Long prompts to one model, short ones to another; the best such rule of the history."),
    (
        "AIQ",
        "Average quality over all costs, as RouterBench defines it: the height of the policy's line in the picture.",
    ),
    (
        "hypervolume",
        "USD per 1,000 prompts times quality that the policy's points leave below and to the right of them.",
    ),
    (
        "APGR, CPT",
        "RouteLLM's: average share of the gap between two models that was closed; dear calls that close half.",
    ),
    ("oracle", "The best model of every prompt, known beforehand. A limit, not a policy."),
    (
        "95 % interval",
        "Over seeds: other orders of the same prompts and other draws. It says nothing of other prompts.",
    ),
)
_COMPARED: Final = (
    "This data holds comparisons only: a policy names two models per prompt and hears which of them won. Quality is "
    "the share of its duels on the prompt that the first of the two won, ties being half. Costs: {costs}."
)
# Shares of the best constant's quality whose savings are in the page; all are in summary.json.
_SAVINGS_SHOWN: Final = ("0.95", "1")
# Constants beyond this many are listed only if they are corners of the fixed mix.
_CONSTANTS_LISTED: Final = 12


def write_page(out: Path, summary: Summary, plots: Sequence[Plot], about: dict[str, Any]) -> None:
    """Write report.html into *out*, with the plots that are in its folder `plots`."""
    body = [heading("What would these routing policies have achieved?", 1)]
    count = len({row.policy for row in summary.rows if row.kind == "policy"})
    seeds = max(row.seeds for row in summary.rows)
    body.append(
        paragraph(
            f"A simulation on recorded outcomes: {count} learning {'policy' if count == 1 else 'policies'}, "
            f"{seeds} {'seed' if seeds == 1 else 'seeds'}, beside baselines that need no learning. "
            "A policy was only ever shown what came of its own choice.",
            "note",
        )
    )
    for dataset, scenario in dict.fromkeys((row.dataset, row.scenario) for row in summary.rows):
        rows = [row for row in summary.rows if (row.dataset, row.scenario) == (dataset, scenario)]
        body.append(heading(dataset if scenario == "plain" else f"{dataset}, scenario “{scenario}”"))
        found = next(one for one in summary.datasets if one.name == dataset)
        history = f"{found.warm_prompts:,} prompts of history, " if found.warm_prompts else "no history, "
        if found.warm_log_rounds:
            history = f"{found.warm_log_rounds:,} logged rounds and {history}"
        learnt = f"{found.learn_prompts:,} prompts to learn on, " if found.learn_prompts else ""
        measured = f"{found.measured_prompts:,} measured, {len(found.models)} models."
        body.append(paragraph(history.capitalize() + learnt + measured, "note"))
        if found.revealed == "comparison":
            body.append(paragraph(_COMPARED.format(costs=found.costs), "note"))
        body += [paragraph(text, "lead") for text in headlines(rows)]
        body.append(_figures(rows))
        phases = [one for one in summary.phases if (one.dataset, one.scenario) == (dataset, scenario)]
        if phases:
            body.append(_phases(phases, rows))
        body.append(
            _frontiers([one for one in summary.frontiers if (one.dataset, one.scenario) == (dataset, scenario)])
        )
        for plot in plots:
            if (plot.dataset, plot.scenario) == (dataset, scenario):
                body.append(picture(out / "plots" / f"{plot.name}.svg", plot.title, plot.caption))
    body += [heading("Words"), glossary(_WORDS), heading("How this was made")]
    body.append(
        paragraph(f"A dollar counts as {summary.usd_weight:g} of quality, a second as {summary.second_weight:g}.")
    )
    body.append(preformatted(json.dumps(about, indent=1)))
    write_whole(out / "report.html", page("banditd-sim report", body))


def headlines(rows: Sequence[Row]) -> list[str]:
    """Return a sentence or two per policy and budget: what it achieved, and whether that is more than no learning."""
    texts = []
    for row in rows:
        if row.kind != "policy":
            continue
        within = "" if row.budget_usd is None else f" with {row.budget_usd * _PER:g} USD per 1,000 prompts to spend"
        text = (
            f"{row.policy}{within} reaches quality {row.quality:.3f} at {_usd(row.cost_usd)} per 1,000 prompts, "
            f"{_verdict(row)}."
        )
        best = row.best_constant_model
        dearer = row.best_constant_cost_usd / row.cost_usd if row.cost_usd > 0.0 else 1.0
        text += f" Always using {best} gives {row.best_constant_quality:.3f} at {_usd(row.best_constant_cost_usd)}" + (
            f", {dearer:.1f} times the cost." if dearer >= 1.05 else "."
        )
        texts.append(text)
    return texts


def _verdict(row: Row) -> str:
    gain, ci = row.gain_over_hull, row.gain_over_hull_ci
    size = f"{abs(gain):.3f} {'above' if gain >= 0.0 else 'below'} the best fixed mix of models at that cost"
    if ci is None:
        return f"{size} (one seed: no interval)"
    sure = ci[0] > 0.0 or ci[1] < 0.0
    return f"{size} (95 % interval {_signed(ci[0])} to {_signed(ci[1])}{'' if sure else ', so it may be nothing'})"


def _figures(rows: Sequence[Row]) -> str:
    constants = [row for row in rows if row.policy.startswith(CONSTANT_PREFIX)]
    hidden = set()
    if len(constants) > _CONSTANTS_LISTED:
        best = {row.best_constant_model for row in rows}
        hidden = {
            row.policy
            for row in constants
            if row.gain_over_hull < -1e-6 and row.policy.removeprefix(CONSTANT_PREFIX) not in best
        }
    shown = [row for row in rows if row.policy not in hidden]
    cells = [
        (
            _name(row.policy),
            "" if row.budget_usd is None else f"{row.budget_usd * _PER:g}",
            f"{row.quality:.4f}",
            _interval(row.quality_ci, signed=False),
            f"{row.cost_usd * _PER:.4g}",
            "" if row.budget_ratio is None else f"{row.budget_ratio:.3f}",
            _signed(row.gain_over_hull),
            _interval(row.gain_over_hull_ci),
            "" if row.gain_over_chosen_mix is None else _signed(row.gain_over_chosen_mix),
            "" if row.hull_to_oracle_share is None else f"{100.0 * row.hull_to_oracle_share:.0f} %",
            f"{row.utility:.4f}",
        )
        for row in shown
    ]
    text = table(_HEADER, cells, [row.kind == "policy" for row in shown])
    if hidden:
        text += paragraph(f"{len(hidden)} constant models below the fixed mix are in summary.csv only.", "small")
    return text


def _phases(phases: Sequence[Phase], rows: Sequence[Row]) -> str:
    kinds = {row.policy: row.kind for row in rows}
    shown = [one for one in phases if kinds[one.policy] == "policy" or one.policy in {"category_table", "fixed_mix"}]
    cells = [
        (
            _name(one.policy) + ("" if one.budget_usd is None else f" at {one.budget_usd * _PER:g}"),
            f"{one.start}-{one.stop - 1}",
            f"{one.quality:.4f}",
            f"{one.cost_usd * _PER:.4g}",
            "" if one.budget_ratio is None else f"{one.budget_ratio:.3f}",
            f"{one.utility:.4f}",
            f"{one.best_constant_utility:.4f}",
            "" if one.start == 0 else "never" if one.recovery_rounds is None else f"{one.recovery_rounds:.0f}",
            "" if one.adoption_rounds is None else f"{one.adoption_rounds:.0f}",
        )
        for one in shown
    ]
    header = (
        "policy",
        "prompts",
        "quality",
        "USD per 1,000",
        "cost / budget",
        "utility",
        "best constant's",
        "recovered",
        "adopted",
    )
    note = (
        "“Recovered” is after how many prompts the utility was within 3 % of the best constant's and stayed there; "
        "“adopted”, after how many a new model had a quarter of the last 100 prompts and kept it."
    )
    return (
        heading("Between the events", 3)
        + table(header, cells, [kinds[one.policy] == "policy" for one in shown])
        + paragraph(note, "small")
    )


def _frontiers(frontiers: Sequence[Frontier]) -> str:
    """Return the figures over all budgets, of what has several: a single point is in the table of figures already."""
    shown = [one for one in frontiers if one.settings > 1]
    if not shown:
        return ""
    cells = [
        (
            _name(one.policy),
            str(one.settings),
            _fixed(one.aiq_paper),
            _interval(one.aiq_paper_ci, signed=False),
            _fixed(one.aiq_code),
            f"{one.hypervolume * _PER:.4g}",
            _fixed(one.quality_at_best_constant_cost),
            *(_percent(one.cost_saving[share]) for share in _SAVINGS_SHOWN),
            _fixed(one.apgr),
            _percent(one.cpt["0.5"]),
        )
        for one in shown
    ]
    header = (
        "policy",
        "budgets",
        "AIQ",
        "95 % interval",
        "AIQ, code",
        "hypervolume",
        "quality at the best constant's cost",
        *(f"saved at {float(share):.0%} of its quality" for share in _SAVINGS_SHOWN),
        "APGR",
        "CPT 50 %",
    )
    first = shown[0]
    note = (
        f"Areas go from {_usd(first.cost_min_usd)} per 1,000 prompts, the cheapest model's cost, to "
        f"{_usd(first.cost_max_usd)}; sending everything to that model counts as one more budget. The best constant is "
        "the model of best quality."
    )
    marked = [not is_baseline(one.policy) for one in shown]
    return heading("Over all budgets", 3) + table(header, cells, marked) + paragraph(note, "small")


def _fixed(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100.0 * value:.0f} %"


def _name(policy: str) -> str:
    if policy.startswith(CONSTANT_PREFIX):
        return "always " + policy.removeprefix(CONSTANT_PREFIX)
    return policy.replace("_", " ") if policy in {"category_table", "prompt_length", "fixed_mix"} else policy


def _usd(cost: float) -> str:
    return f"${cost * _PER:.3g}"


def _signed(value: float) -> str:
    text = f"{value:+.4f}"
    return "0.0000" if text in {"+0.0000", "-0.0000"} else text


def _interval(ci: Ci, *, signed: bool = True) -> str:
    if ci is None:
        return ""
    if ci[1] - ci[0] < 5e-5:
        return ""  # whatever the order of the prompts, the same
    low, high = (_signed(end) if signed else f"{end:.4f}" for end in ci)
    return f"{low} to {high}"
