"""Change on the pareto data: a model that silently gets worse, and models that are added while traffic flows.

    python tests/bench/bench_change.py            20 seeds, about a quarter of an hour on one core
    python tests/bench/bench_change.py --budget 6.6e-4
    python tests/bench/bench_change.py --seeds 3 --parameter change_detection=0

The shipped learner in this process: it learns on `val` (1,785 prompts, bandit feedback, list prices the only prior) and
goes on learning on `test_holdout` (1,824), both shuffled by the seed. A dollar is worth 275, which stands for the
middle budget; with `--budget`, the router is paced within that many USD per prompt instead.

degraded   After 608 prompts of the test split the middle model's qualities are lowered so that their mean is 0.75; each
           keeps its place: q becomes q * 0.75 / mean. After another 608 they are what they were. Nobody tells the
           router. Shares are of the middle model, of the last 100 prompts before 600 are over.
newcomer   The middle model (good) or a model of its price and of quality 0.5 +- 0.2 whatever the prompt (bad) is added
           after 608 prompts. Adopted: prompts until it has had more than a quarter of the last fifty.

Beside banditd: no detector, forgetting (the adaptive preset), and two baselines that know nothing of the prompt: a
running mean per model, and the last hundred of each.
"""

import argparse
import collections
import dataclasses
import platform
import sys
import time
from pathlib import Path

import numpy as np

from banditd.domain.budget import Budget
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.records import ModelChange
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.routing.choose import Terms
from banditd_sim.datasets import open_dataset
from banditd_sim.environments.engine import Engine
from banditd_sim.metrics.seeds import seed_mean

USD_WEIGHT = 275.0
DEGRADED_MEAN = 0.75
PHASE = 608
RECENT = 100
CHEAP, MIDDLE, DEAR = range(3)
EMBEDDINGS = Path("out/demo/embeddings")


@dataclasses.dataclass(frozen=True)
class Data:
    """Prompts by models."""

    embeddings: np.ndarray
    tokens: np.ndarray
    quality: np.ndarray
    cost_usd: np.ndarray
    names: tuple
    prices: tuple
    val: np.ndarray
    test: np.ndarray


def load():
    """Read the data, embedded by MiniLM; the demo's cache is used where there is one."""
    table = open_dataset("paretobandit", embedder="minilm", cache=EMBEDDINGS).data
    split = np.array(table.split)
    return Data(
        embeddings=table.embeddings.astype(np.float16),
        tokens=np.array([len(text) // 4 for text in table.texts]),
        quality=table.quality,
        cost_usd=table.cost_usd,
        names=tuple(m.model_id for m in table.models),
        prices=tuple(Price(m.input_mtok_usd, m.output_mtok_usd) for m in table.models),
        val=np.flatnonzero(split == "val"),
        test=np.flatnonzero(split == "test_holdout"),
    )


class Banditd:
    """The shipped learner."""

    def __init__(self, data, columns, seed, preset="linucb", budget=None, **parameters):
        self.data = data
        router = RouterSpec(
            f"bench-{seed}",
            PolicySpec(preset, parameters),
            data.embeddings.shape[1],
            budget=None if budget is None else Budget(budget),
        )
        models = tuple(ModelSpec(i, data.names[k], data.prices[k]) for i, k in enumerate(columns))
        self.engine = Engine(router, models, seed)
        self.columns = list(columns)
        self.terms = Terms(Objective(USD_WEIGHT if budget is None else 0.0))

    def add(self, column, **fields):
        """Add a model."""
        slot = len(self.columns)
        name = self.data.names[column] if column < len(self.data.names) else "bad"
        price = self.data.prices[min(column, MIDDLE) if column >= len(self.data.names) else column]
        self.engine.append(ModelChange(name, slot, ModelSpec(slot, name, price, **fields)))
        self.columns.append(column)

    def play(self, row, quality, cost):
        """Choose for a prompt, learn, return the column."""
        position, decision = self.engine.route(self.data.embeddings[row], self.terms, int(self.data.tokens[row]))
        column = self.columns[decision.slot]
        self.engine.learn(position, decision, Lesson(float(quality[column]), float(cost[column]), self._price(column)))
        return column

    def _price(self, column):
        price = self.data.prices[column] if column < len(self.data.prices) else self.data.prices[MIDDLE]
        return price.blended_mtok_usd

    @property
    def alarms(self):
        """Alarms so far, of any metric and model."""
        (state,) = self.engine.state.routers.values()
        return sum(sum(counts) for counts in state.changes.alarm_counts.values())


class Means:
    """Epsilon-greedy on running means, or on the mean of the newest; no context."""

    alarms = 0

    def __init__(self, data, columns, seed, newest=None):
        self.columns = list(columns)
        self.rng = np.random.default_rng(seed)
        self.newest = newest
        self.seen = {k: collections.deque([0.5], newest) for k in columns}
        self.sums = dict.fromkeys(columns, 0.5)

    def add(self, column):
        """Add a model."""
        self.columns.append(column)
        self.seen[column] = collections.deque([0.9], self.newest)
        self.sums[column] = 0.9

    def play(self, row, quality, cost):
        """Choose, learn, return the column."""
        if self.rng.random() < 0.02:
            column = int(self.rng.choice(self.columns))
        else:
            column = max(self.columns, key=lambda k: self.sums[k] / len(self.seen[k]))
        seen, value = self.seen[column], quality[column] - USD_WEIGHT * cost[column]
        self.sums[column] += value - (seen[0] if len(seen) == seen.maxlen else 0.0)
        seen.append(value)
        return column


def degraded(data, make, seed):
    """Return the middle model's share before, at 600 prompts of degradation and at 600 after; utility; alarms."""
    rng = np.random.default_rng(seed)
    player = make(data, (CHEAP, MIDDLE, DEAR), seed)
    for row in rng.permutation(data.val):
        player.play(row, data.quality[row], data.cost_usd[row])
    false_alarms = player.alarms
    factor = np.ones(3)
    factor[MIDDLE] = DEGRADED_MEAN / data.quality[data.test, MIDDLE].mean()
    chosen, value, spent = [], [], []
    for t, row in enumerate(rng.permutation(data.test)):
        quality = data.quality[row] * (factor if PHASE <= t < 2 * PHASE else 1.0)
        column = player.play(row, quality, data.cost_usd[row])
        chosen.append(column == MIDDLE)
        value.append(quality[column] - USD_WEIGHT * data.cost_usd[row, column])
        spent.append(data.cost_usd[row, column])
    share = [np.mean(chosen[end - RECENT : end]) for end in (PHASE, PHASE + 600, 2 * PHASE + 600)]
    running = np.convolve(chosen[PHASE : 2 * PHASE], np.ones(50) / 50, "valid")
    below = np.flatnonzero(running < 0.15)
    return {
        "share before": share[0],
        "share at 600": share[1],
        "prompts to < 15 %": float(below[0] + 50) if len(below) else np.nan,
        "share 600 after": share[2],
        "utility degraded": np.mean(value[PHASE : 2 * PHASE]),
        "utility after": np.mean(value[2 * PHASE :]),
        "cost degraded": np.mean(spent[PHASE : 2 * PHASE]),
        "alarms in val": float(false_alarms),
        "alarms in test": float(player.alarms - false_alarms),
    }


def newcomer(data, make, seed, *, good):
    """Return prompts until adoption, the largest share of 50 in the first 75, and shares after 300 prompts."""
    rng = np.random.default_rng(seed)
    player = make(data, (CHEAP, DEAR), seed)
    new = MIDDLE if good else len(data.names)
    bad = np.clip(rng.normal(0.5, 0.2, len(data.quality)), 0.0, 1.0)
    quality = np.column_stack([data.quality, bad])
    cost = np.column_stack([data.cost_usd, data.cost_usd[:, MIDDLE]])
    for row in rng.permutation(data.val):
        player.play(row, quality[row], cost[row])
    order = rng.permutation(data.test)
    for row in order[:PHASE]:
        player.play(row, quality[row], cost[row])
    player.add(new)
    columns = [player.play(row, quality[row], cost[row]) for row in order[PHASE:]]
    chosen, spent = np.array(columns) == new, cost[order[PHASE:], columns]
    running = np.convolve(chosen, np.ones(50) / 50, "valid")
    adopted = np.flatnonzero(running > 0.25)
    return {
        "adopted after": float(adopted[0] + 50) if len(adopted) else np.nan,
        "share of first 60": chosen[:60].mean(),
        "share 120 to 300": chosen[120:300].mean(),
        "share after 300": chosen[300:].mean(),
        "cost after": np.mean(spent),
    }


def table(title, data, players, scenario, seeds):
    """Print means with their intervals over seeds."""
    print(f"\n{title}")
    for name, make in players.items():
        found = [scenario(data, make, seed) for seed in range(seeds)]
        cells = []
        for key in found[0]:
            values = [one[key] for one in found]
            missing = int(np.isnan(values).sum())
            known = [v for v in values if not np.isnan(v)]
            if not known:
                cells.append(f"{key} never")
                continue
            mean = seed_mean(known)
            form = ".3g" if abs(mean.mean) >= 1 or key.startswith("cost") else ".3f"
            cells.append(
                f"{key} {mean.mean:{form}} [{mean.low:{form}}, {mean.high:{form}}]"
                + (f" ({missing} never)" if missing else "")
            )
        print(f"  {name:<22}" + "\n  ".ljust(27).join(cells), flush=True)


def main():
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=float, help="USD per prompt on average, of banditd")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--only", default="", help="names of players, separated by semicolons")
    parser.add_argument("--scenario", default="degraded,good,bad")
    arguments = parser.parse_args()
    parameters = {name: float(value) for name, value in (p.split("=") for p in arguments.parameter)}
    parameters["budget"] = arguments.budget
    players = {
        "banditd": lambda d, c, s: Banditd(d, c, s, **parameters),
        "banditd, no detector": lambda d, c, s: Banditd(d, c, s, **(parameters | {"change_detection": 0.0})),
        "banditd, adaptive": lambda d, c, s: Banditd(d, c, s, "adaptive", **parameters),
        "running mean": Means,
        "mean of newest 100": lambda d, c, s: Means(d, c, s, 100),
    }
    if arguments.only:
        players = {name: players[name] for name in arguments.only.split(";")}
    started = time.perf_counter()
    data = load()
    print(f"{platform.processor() or platform.machine()}, Python {sys.version.split()[0]}, {arguments.seeds} seeds")
    wanted = arguments.scenario.split(",")
    if "degraded" in wanted:
        table("silent degradation of the middle model to 0.75", data, players, degraded, arguments.seeds)
    for good in (True, False):
        if ("good" if good else "bad") in wanted:
            title = f"a {'good' if good else 'bad'} new model"
            table(title, data, players, lambda d, m, s, good=good: newcomer(d, m, s, good=good), arguments.seeds)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
