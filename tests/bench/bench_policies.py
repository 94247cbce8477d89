"""Presets on real answers, without a budget: python tests/bench/bench_policies.py [folder of data] [prompts] [seeds].

Each run shuffles the prompts that every model answered, takes the first ones, and routes them through the shipped
learner, which sees the quality and cost of the chosen model only. All start cold. Printed: mean quality and USD per
1,000 prompts over the whole run, with 95 % intervals over the seeds (orders and draws, not other prompts), beside the
best constant model, uniform choice and the best model per prompt.
"""

import os
import sys
import time
from importlib.metadata import version

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.routing.choose import Terms
from banditd_sim.datasets import open_dataset
from banditd_sim.environments.engine import Engine
from banditd_sim.metrics.seeds import paired_difference, seed_mean

SETS = ("pareto", "routerbench", "zeroeval", "bfcl", "routellm")
# `category-clusters` is the preset `category` where the caller names none.
PRESETS = ("constant", "linucb", "category", "category-clusters", "knn", "vowpal_squarecb")
TERMS = Terms(Objective())


def run(table, rows, name, seed):
    """Return mean quality and cost of one run."""
    preset = name.removesuffix("-clusters")
    models = tuple(
        ModelSpec(
            k,
            model.model_id,
            None if np.isnan(model.input_mtok_usd + model.output_mtok_usd) else
            Price(model.input_mtok_usd, model.output_mtok_usd),
        )
        for k, model in enumerate(table.models)
    )  # fmt: skip
    router = RouterSpec("bench", PolicySpec(preset), embedding_dimension=table.embeddings.shape[1])
    engine = Engine(router, models, seed)
    quality, cost = [], []
    for row in rows:
        category = "" if name.endswith("-clusters") else table.category[row]
        position, decision = engine.route(table.embeddings[row], TERMS, category=category)
        k = decision.choice.index
        quality.append(table.quality[row, k])
        cost.append(table.cost_usd[row, k])
        seen = None if np.isnan(cost[-1]) else float(cost[-1])
        engine.learn(position, decision, Lesson(quality=float(quality[-1]), cost_usd=seen))
    return np.mean(quality), 1000.0 * np.mean(cost)


def line(name, quality, cost, note=""):
    """Print one row of the table."""
    q, c = seed_mean(quality), seed_mean(cost)
    print(f"| {name} | {q.mean:.4f} | {q.low:.4f} to {q.high:.4f} | {c.mean:.3f} | {note} |", flush=True)


def main():
    """Run everything and print a table per data set."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "../shared/data"
    prompts = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    seeds = range(int(sys.argv[3]) if len(sys.argv) > 3 else 5)
    print(f"Python {sys.version.split()[0]}, numpy {version('numpy')}, vw {version('vowpal-wabbit-next')}")
    for name in SETS:
        table = open_dataset(f"{folder}/{name}").data
        whole = np.flatnonzero(~np.isnan(table.quality).any(axis=1))
        orders = [np.random.default_rng(seed).permutation(whole)[:prompts] for seed in seeds]
        print(f"\n{name}: {len(orders[0])} of {len(whole)} prompts, {len(table.models)} models, {len(orders)} seeds\n")
        print("| policy | quality | 95 % interval | USD per 1,000 | over constant |\n| --- | --- | --- | --- | --- |")
        best = int(table.quality[whole].mean(axis=0).argmax())
        line("best constant", [table.quality[o, best].mean() for o in orders],
             [1000 * np.nanmean(table.cost_usd[o, best]) for o in orders])  # fmt: skip
        line("uniform", [table.quality[o].mean() for o in orders],
             [1000 * np.nanmean(table.cost_usd[o]) for o in orders])  # fmt: skip
        picked = [table.quality[o].argmax(axis=1) for o in orders]
        line("oracle", [table.quality[o].max(axis=1).mean() for o in orders],
             [1000 * np.nanmean(table.cost_usd[o, k]) for o, k in zip(orders, picked, strict=True)])  # fmt: skip
        base = None
        for preset in PRESETS:
            start = time.perf_counter()
            quality, cost = zip(*[run(table, o, preset, s) for s, o in zip(seeds, orders, strict=True)], strict=True)
            base = quality if base is None else base
            gain = paired_difference(quality, base)
            spent = (time.perf_counter() - start) / sum(map(len, orders))
            line(preset, quality, cost, f"{gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}); {1e3 * spent:.1f} ms")


if __name__ == "__main__":
    main()
