"""Budgets on real data: the shipped router paced within each of them, warm and cold, and through a change of price.

Usage: python tests/bench/bench_budget.py [--seeds 20] [--out out/budget.json]

The prompts, scores and costs that the package paretobandit ships (three models, 30 to 15,000 USD per million calls).
Warm: `val` with all outcomes is the history, `test_holdout` is routed. Cold: `val` is routed with nothing known but
list prices. Each seed shuffles the prompts and draws anew. `gain` is the quality above the upper hull of the constant
models at the cost that was spent, in hindsight on the routed prompts. Phases: the dear model costs 0.10 USD per million
tokens in the middle third of the run.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from banditd.domain.budget import Budget
from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.records import ModelChange
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.routing.choose import Terms
from banditd_sim.datasets import open_dataset
from banditd_sim.environments.engine import Engine

BUDGETS = (8.3e-5, 2.3e-4, 6.6e-4, 1.9e-3, 5.3e-3, 1.5e-2, None)
PHASES = (6.6e-4, 1.9e-3, 5.3e-3)
CHEAP = Price(0.1, 0.1)
TERMS = Terms(Objective())
TOKENS = 100


def hull_quality(quality, cost, at):
    """Return the quality of the best mix of constants that costs *at* on average: shapes (K,)."""
    best = max((q for q, c in zip(quality, cost, strict=True) if c <= at), default=-np.inf)
    for low in range(len(cost)):
        for high in range(len(cost)):
            if cost[low] <= at < cost[high]:
                share = (at - cost[low]) / (cost[high] - cost[low])
                best = max(best, quality[low] + share * (quality[high] - quality[low]))
    return best


class Prompts:
    """The data, embedded once."""

    def __init__(self):
        table = open_dataset("paretobandit", embedder="ngram").data
        self.x = np.ascontiguousarray(table.embeddings, np.float16)
        self.quality, self.cost = table.quality, table.cost_usd
        self.models = tuple(
            ModelSpec(k, m.model_id, Price(m.input_mtok_usd, m.output_mtok_usd)) for k, m in enumerate(table.models)
        )
        self.dear = int(np.argmax(np.nanmean(self.cost, axis=0)))
        split = np.array(table.split)
        self.val, self.test = np.flatnonzero(split == "val"), np.flatnonzero(split == "test_holdout")

    def lesson(self, row, k, factor=1.0):
        """Return what a call teaches."""
        unit = self.models[k].price.blended_mtok_usd
        return Lesson(float(self.quality[row, k]), float(self.cost[row, k]) * factor, unit * factor, None)

    def engine(self, budget, seed, *, warm, preset):
        """Return a router with its history."""
        router = RouterSpec(
            "default",
            PolicySpec(preset),
            embedding_dimension=self.x.shape[1],
            budget=None if budget is None else Budget(budget),
        )
        engine = Engine(router, self.models, seed)
        if warm:
            every = range(len(self.models))
            engine.teach([(Context(self.x[i], TOKENS), [(k, self.lesson(i, k)) for k in every]) for i in self.val])
        return engine


def run(prompts, budget, seed, *, warm, preset, phases=False):
    """Route one shuffle; return quality, cost, shares and, per third, what was spent on average."""
    engine = prompts.engine(budget, seed, warm=warm, preset=preset)
    rows = np.random.default_rng(seed).permutation(prompts.test if warm else prompts.val)
    thirds = np.array_split(np.arange(len(rows)), 3)
    dear = prompts.models[prompts.dear]
    factor = np.ones(len(prompts.models))
    quality, cost, chosen = np.empty(len(rows)), np.empty(len(rows)), np.empty(len(rows), int)
    for turn, row in enumerate(rows):
        if phases and turn in (thirds[1][0], thirds[2][0]):
            now = replace(dear, price=CHEAP) if turn == thirds[1][0] else dear
            engine.append(ModelChange(dear.model_id, dear.slot, now))
            factor[prompts.dear] = now.price.blended_mtok_usd / dear.price.blended_mtok_usd
        position, decision = engine.route(prompts.x[row], TERMS, TOKENS)
        k = decision.slot
        engine.learn(position, decision, prompts.lesson(row, k, factor[k]))
        quality[turn], cost[turn], chosen[turn] = prompts.quality[row, k], prompts.cost[row, k] * factor[k], k
    hull = hull_quality(prompts.quality[rows].mean(axis=0), prompts.cost[rows].mean(axis=0), cost.mean())
    return {
        "quality": quality.mean(),
        "cost_usd": cost.mean(),
        "gain": quality.mean() - hull,
        "shares": np.bincount(chosen, minlength=len(prompts.models)) / len(rows),
        "phase_cost_usd": [cost[third].mean() for third in thirds],
    }


def interval(values):
    """Return mean and the half width of a 95 % interval over seeds."""
    values = np.asarray(values)
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def main():
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--preset", default="linucb")
    parser.add_argument("--out", type=Path, default=Path("out/budget.json"))
    arguments = parser.parse_args()
    prompts, console = Prompts(), Console()
    rows = []
    for warm in (True, False):
        printed = Printed(title="warm" if warm else "cold")
        for name in ("budget", "quality", "gain over hull", "+-", "cost / budget", "least", "greatest", "shares"):
            printed.add_column(name, justify="right")
        for budget in BUDGETS:
            found = [run(prompts, budget, s, warm=warm, preset=arguments.preset) for s in range(arguments.seeds)]
            gain, half = interval([f["gain"] for f in found])
            ratios = [f["cost_usd"] / budget for f in found] if budget else [float("nan")]
            shares = np.mean([f["shares"] for f in found], axis=0)
            row = {
                "warm": warm,
                "budget_usd": budget,
                "quality": float(np.mean([f["quality"] for f in found])),
                "gain": gain,
                "gain_half": half,
                "budget_ratio": float(np.mean(ratios)),
            }
            rows.append(row)
            printed.add_row(
                "none" if budget is None else f"{budget:.1e}",
                f"{row['quality']:.4f}",
                f"{gain:+.4f}",
                f"{half:.4f}",
                f"{np.mean(ratios):.3f}",
                f"{np.min(ratios):.3f}",
                f"{np.max(ratios):.3f}",
                " ".join(f"{share:.3f}" for share in shares),
            )
        console.print(printed)
    printed = Printed(title="cost / budget per third, the dear model at 0.10 USD per million in the second")
    for name in ("budget", "first", "second", "third"):
        printed.add_column(name, justify="right")
    for budget in PHASES:
        found = [
            run(prompts, budget, s, warm=True, preset=arguments.preset, phases=True) for s in range(arguments.seeds)
        ]
        ratios = np.array([f["phase_cost_usd"] for f in found]) / budget
        rows.append({"phases": True, "budget_usd": budget, "budget_ratios": ratios.mean(axis=0).tolist()})
        printed.add_row(f"{budget:.1e}", *(f"{m:.3f} +- {s:.3f}" for m, s in map(interval, ratios.T)))
    console.print(printed)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
