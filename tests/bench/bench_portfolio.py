"""The portfolio beside its members: python tests/bench/bench_portfolio.py [--sets a,b] [--seeds 20] [--prompts 600].

Each seed shuffles the prompts of a set that every model answered, takes the first ones, and routes them through the
shipped learner, which sees quality and cost of the chosen model only. Warm: the next `--history` prompts, no more than
the split `train` has, were learnt before with all outcomes. The middle budget is the geometric mean of what the two
ends of the hull of constant mixes cost. `gain` is the quality above that hull, in hindsight, at the cost that was
spent; without a budget, above the best constant. No learner starts at the best constant: the row `constant`, which
learns nothing else, says what finding it costs. Differences are paired over seeds; intervals are at 95 %, over prompts,
orders and draws. Vowpal Wabbit's trade-off is part of what it learns, so that it has no row with a budget.

A table per case is printed as it comes, and at the end a row per case. `--policies` takes fewer or others, such as
`portfolio-vowpal`, which has Vowpal Wabbit as a fifth member.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from banditd.domain.budget import Budget
from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.records import RouterChange
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.policies.portfolio import PortfolioBelief
from banditd.routing.choose import Terms
from banditd_sim.datasets import open_dataset
from banditd_sim.environments.engine import Engine
from banditd_sim.metrics.hull import fixed_mix_hull, hull_quality
from banditd_sim.metrics.seeds import paired_difference, seed_mean

SETS = "pareto,routerbench,zeroeval,bfcl,routellm"
MEMBERS = "linucb category knn constant"
POLICIES = {
    "linucb": PolicySpec("linucb"),
    "category": PolicySpec("category"),
    "knn": PolicySpec("knn"),
    "constant": PolicySpec("constant"),
    "vowpal_squarecb": PolicySpec("vowpal_squarecb"),
    "portfolio": PolicySpec("portfolio", texts={"members": MEMBERS}),
    "portfolio-vowpal": PolicySpec("portfolio", texts={"members": f"{MEMBERS} vowpal_squarecb"}),
}
UNPRICED = "vowpal_squarecb"
ASKED = "linucb,category,knn,constant,vowpal_squarecb,portfolio"
TERMS = Terms(Objective())
TOKENS = 500


class Case:
    """One data set, with the prompts that every model answered."""

    def __init__(self, folder, prompts, history):
        self.table = table = open_dataset(str(folder)).data
        self.cost = np.where(np.isnan(table.cost_usd), np.nanmean(table.cost_usd, axis=0), table.cost_usd)
        split = np.array(table.split)
        whole = ~np.isnan(table.quality).any(axis=1)
        self.rows = np.flatnonzero(whole & (split != ""))
        self.history_count = min(history, int(np.sum(whole & (split == "train"))))
        self.prompts = min(prompts, len(self.rows) - self.history_count)
        self.models = tuple(
            ModelSpec(k, model.model_id, _price(model, float(self.cost[self.rows, k].mean())))
            for k, model in enumerate(table.models)
        )

    def order(self, seed):
        """Return the measured prompts of a seed."""
        return np.random.default_rng([seed, 1]).permutation(self.rows)[: self.prompts]

    def history(self, seed):
        """Return the prompts of a seed's history, in an order that is theirs."""
        return np.random.default_rng([seed, 1]).permutation(self.rows)[self.prompts :][: self.history_count]

    def hull(self, rows):
        """Return the hull of constant mixes."""
        return fixed_mix_hull(self.cost[rows].mean(axis=0), self.table.quality[rows].mean(axis=0))

    def lesson(self, row, k):
        """Return what a call teaches."""
        return Lesson(quality=float(self.table.quality[row, k]), cost_usd=float(self.cost[row, k]))

    def router(self, spec, budget):
        """Return the settings."""
        limit = None if budget is None else Budget(budget)
        return RouterSpec("bench", spec, embedding_dimension=self.table.embeddings.shape[1], budget=limit)

    def engine(self, spec, seed, warm):
        """Return a router with its history, without a budget."""
        engine = Engine(self.router(spec, None), self.models, seed)
        if warm:
            engine.teach(
                [
                    (
                        Context(self.table.embeddings[i], category=self.table.category[i]),
                        [(k, self.lesson(i, k)) for k in range(len(self.models))],
                    )
                    for i in self.history(seed)
                ]
            )
        return engine

    def runs(self, name, budget, seed, warm):
        """Return what `run` says without and, but for Vowpal Wabbit, within a budget, after the same history."""
        engine = self.engine(POLICIES[name], seed, warm)
        if name == UNPRICED:
            return (self.run(engine, seed),)
        other = engine.fork(seed)
        other.append(RouterChange("bench", self.router(POLICIES[name], budget)))
        return self.run(engine, seed), self.run(other, seed)

    def run(self, engine, seed):
        """Return mean quality and cost of one run, and the portfolio's weights at its end."""
        rows = self.order(seed)
        picked = np.empty(len(rows), np.int64)
        for t, row in enumerate(rows):
            position, decision = engine.route(self.table.embeddings[row], TERMS, category=self.table.category[row])
            picked[t] = decision.choice.index
            engine.learn(position, decision, self.lesson(row, picked[t]))
        belief = engine.router.belief
        weights = belief.weights if isinstance(belief, PortfolioBelief) else None
        return self.table.quality[rows, picked].mean(), self.cost[rows, picked].mean(), weights


def _price(model, cost_usd):
    """Return a model's list price; where none is known, that of a call of TOKENS tokens that costs as the history's."""
    if np.isnan(model.input_mtok_usd + model.output_mtok_usd):
        return Price(cost_usd * 1e6 / TOKENS, cost_usd * 1e6 / TOKENS)
    return Price(model.input_mtok_usd, model.output_mtok_usd)


def table_of(case, runs, seeds, budget):
    """Print a table of the policies' runs; return each one's gains over seeds."""
    hulls = [case.hull(case.order(seed)) for seed in seeds]
    constant = [case.table.quality[case.order(seed)].mean(axis=0).max() for seed in seeds]
    gains = {}
    for name, ran in runs.items():
        quality, cost, weights = zip(*ran, strict=True)
        base = constant
        if budget is not None:
            base = [hull_quality(hull, max(c, hull.cost[0])) for hull, c in zip(hulls, cost, strict=True)]
        gains[name] = np.subtract(quality, base)
        q, gain = seed_mean(quality), seed_mean(gains[name])
        spent = 1000.0 * np.mean(cost) if budget is None else np.mean(cost) / budget
        held = ""
        if weights[0] is not None:
            held = " ".join(f"{w:.2f}" for w in np.mean(weights, axis=0)[int(budget is not None)])
        print(f"| {name} | {q.mean:.4f} | {spent:.3f} | {gain.mean:+.4f} | {gain.low:+.4f} to {gain.high:+.4f} "
              f"| {held} |", flush=True)  # fmt: skip
    return gains


def row_of(gains, master):
    """Return a case in one row: gains, those of the constant learner and of the portfolio with their intervals."""
    cells = []
    for name in [*ASKED.split(",")[:-1], master]:
        if name not in gains:
            cells.append("-")
            continue
        gain = seed_mean(gains[name])
        half = f" ± {gain.high - gain.mean:.4f}" if name in ("constant", master) else ""
        cells.append(f"{gain.mean:+.4f}{half}")
    members = [name for name in POLICIES[master].texts["members"].split() if name in gains]
    others = [max(members, key=lambda name: gains[name].mean())] if members else []
    for other in [*others, *({"constant"} & gains.keys())]:
        behind = paired_difference(gains[master], gains[other])
        cells.append(f"{behind.mean:+.4f} ({behind.low:+.4f} to {behind.high:+.4f}), `{other}`")
    return " | ".join(cells)


def main():
    """Run everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=600)
    parser.add_argument("--history", type=int, default=300)
    parser.add_argument("--policies", default=ASKED)
    arguments = parser.parse_args()
    seeds, policies = range(arguments.seeds), arguments.policies.split(",")
    rows = []
    for name in arguments.sets.split(","):
        case = Case(arguments.shared / name, arguments.prompts, arguments.history)
        hull = case.hull(case.rows)
        middle = float(np.sqrt(hull.cost[0] * hull.cost[-1]))
        for warm in (False, True):
            ran = {policy: [case.runs(policy, middle, seed, warm) for seed in seeds] for policy in policies}
            for k, budget in enumerate((None, middle)):
                start = f"warm, {case.history_count} prompts" if warm else "cold"
                limit = "no budget, USD per 1,000" if budget is None else f"{1000 * budget:.3f} USD per 1,000, spent"
                print(f"\n{name}, {start}, {len(case.order(0))} prompts, {len(case.models)} models, "
                      f"{len(seeds)} seeds\n\n| policy | quality | {limit} | gain | 95 % interval | weights |\n"
                      "| --- | --- | --- | --- | --- | --- |", flush=True)  # fmt: skip
                runs = {policy: [each[k] for each in every] for policy, every in ran.items() if len(every[0]) > k}
                gains = table_of(case, runs, seeds, budget)
                label = (f"{name} ({len(case.models)}), {'warm' if warm else 'cold'}, "
                         f"{'none' if budget is None else 'middle'}")  # fmt: skip
                rows += [f"| {label} | {row_of(gains, master)} |" for master in gains if master.startswith("portfolio")]
    print(f"\n| set (models), start, budget | {' | '.join(ASKED.split(','))} | - best member | - constant |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
