"""Quality per dollar on real data: python tests/bench/bench_quality.py [--sets a,b] [--seeds 5] [--cold] [--set k=v].

    python tests/bench/bench_quality.py --resplit --ridge --seeds 20

One default configuration on every set. Warm: every model's outcome on each history prompt is learnt, in an order drawn
per seed; then the measured prompts are routed by the shipped `choose`, with floor and explorer, learning each choice's
outcome. Cold (`--cold`): the history prompts are routed with nothing known but prices, and measured themselves.

The pacer is emulated: a price of money found by bisection on the history's expected costs (cold: on the catalogue's),
then moved a little by each choice's expected cost. A budget that was missed by that costs nothing: gains are taken at
the cost that was really spent.

Columns: gain over the fixed-mix hull of the measured prompts in hindsight, with a 95 % interval over seeds and one over
prompts (bootstrap of the measured prompts, the hull with them); gain over the mix that the history would have chosen;
that chosen mix's own gain over the hindsight hull; cost over budget; share of the way from hull to oracle.

`--resplit`: each seed draws which of all prompts are history and which are measured, as many as before, so that no
figure is the luck of one split, and the interval over seeds is one over prompts, too.

`--ridge`: below each set a ridge regression per model on the same prompts, for each of some dimensions of the principal
components and penalties: greedy, without floor, learning nothing while it is measured. Which pair suits a set is known
in hindsight only. Beside each its gain less ours, with the interval of the paired difference.

`pareto` is that of the installed package `paretobandit`, split val and test_holdout, embedded by the shipped embedder
if that is installed; the others are folders of the shared data, split train and test.
"""

import argparse
import itertools
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.encode import encode_rows
from banditd.features.fit import fit_spec
from banditd.policies.base import Prediction
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import resolve
from banditd.routing.choose import Terms, choose
from banditd.routing.snapshot import RouterSnapshot
from banditd_sim.datasets import open_dataset
from banditd_sim.environments.engine import Engine
from banditd_sim.metrics.hull import chosen_mix, fixed_mix_hull, gain_over_chosen_mix, hull_quality, mix_point

SHARED = ("routerbench", "zeroeval", "bfcl", "routellm")
PARETO_BUDGETS = (8.3e-5, 2.3e-4, 6.6e-4, 1.9e-3, 5.3e-3, 1.5e-2)
BOOTSTRAPS = 500
# Of the ridge regressions.
DIMENSIONS, PENALTIES = (10, 20, 48), (2, 10, 50, 250, 1000)
STEP = 0.02


@dataclass
class Case:
    """One data set, split."""

    name: str
    models: tuple
    embeddings: np.ndarray
    tokens: list
    quality: np.ndarray
    cost: np.ndarray
    history: np.ndarray
    measured: np.ndarray
    budgets: tuple

    def resplit(self, seed):
        """Return the set with other prompts as history and measured, as many as before."""
        rows = np.random.default_rng([seed, 9]).permutation(np.concatenate([self.history, self.measured]))
        return replace(self, history=rows[: len(self.history)], measured=rows[len(self.history) :])


def load(name, shared, cold):
    """Open a set; prompts without every outcome are left out."""
    if name == "pareto":
        table, splits = pareto_table(), ("val", "test_holdout")
    else:
        table, splits = open_dataset(str(shared / name)).data, ("train", "test")
    split = np.array(table.split)
    cost = np.where(np.isnan(table.cost_usd), np.nanmean(table.cost_usd, axis=0), table.cost_usd)
    whole = ~np.isnan(table.quality).any(axis=1)
    tokens = table.input_tokens[:, 0] if not np.isnan(table.input_tokens).all() else np.full(len(table), np.nan)
    if np.isnan(tokens).all() and table.texts:
        tokens = np.array([len(text) / 4 for text in table.texts])
    models = tuple(
        ModelSpec(
            k,
            model.model_id,
            None
            if np.isnan(model.input_mtok_usd) or np.isnan(model.output_mtok_usd)
            else Price(model.input_mtok_usd, model.output_mtok_usd),
        )
        for k, model in enumerate(table.models)
    )
    history, measured = (np.flatnonzero(whole & (split == s)) for s in splits)
    if cold:
        measured = history
    hull = fixed_mix_hull(cost[measured].mean(axis=0), table.quality[measured].mean(axis=0))
    budgets = (
        PARETO_BUDGETS
        if name == "pareto"
        else tuple(np.exp(np.linspace(np.log(hull.cost[0]), np.log(hull.cost[-1]), 7)[1:-1]))
    )
    return Case(
        name,
        models,
        table.embeddings,
        [-1 if np.isnan(t) else int(t) for t in tokens],
        table.quality,
        np.maximum(cost, 1e-9),
        history,
        measured,
        (*budgets, np.inf),
    )


def pareto_table():
    """The package's table, with embeddings: those of the shared copy where it has the prompt, else made anew."""
    from banditd_sim.datasets.embedding import embed_table
    from banditd_sim.embed import resolve_embedder

    table = open_dataset("paretobandit").data
    return table if table.embeddings is not None else embed_table(table, resolve_embedder("minilm"))


def taught(case, policy, seed):
    """A snapshot's ingredients after the history."""
    features = fit_spec(policy.features, case.embeddings[case.history], 1)
    rows = encode_rows(features, [Context(*each) for each in zip(case.embeddings, case.tokens, strict=True)])
    belief = LinearBelief(policy, features, 0.5)
    for i in np.random.default_rng(seed).permutation(case.history):
        for k, model in enumerate(case.models):
            belief.learn(model, rows[i], Lesson(quality=float(case.quality[i, k]), cost_usd=float(case.cost[i, k])))
    return features, rows, belief


def price_for(prediction, budget):
    """The price of money at which greedy choices cost *budget* on average; 0 where none is needed."""
    index = np.arange(len(prediction.quality))

    def spent(price):
        chosen = np.argmax(prediction.quality - price * prediction.cost_usd, axis=1)
        return prediction.cost_usd[index, chosen].mean()

    if spent(0.0) <= budget:
        return 0.0
    low, high = 1e-2, 1e8
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= budget else (middle, high)
    return high


def run_warm(case, policy, seed, budget, trained):
    """Route the measured prompts; returns (index, prompt, model)."""
    features, rows, arrays = trained
    belief = LinearBelief(policy, features, 0.5)
    belief.load_arrays(arrays)
    router = RouterSpec("bench", PolicySpec(policy.preset), embedding_dimension=case.embeddings.shape[1])
    rng = np.random.default_rng([seed, 7])
    order = rng.permutation(case.measured)
    frozen = belief.freeze(case.models)
    price = price_for(frozen.predict_rows(rows[case.history]), budget)
    picked = np.empty(len(order), np.int64)
    for t, i in enumerate(order):
        snapshot = RouterSnapshot(router, policy, features, frozen, case.models, version=t)
        terms = Terms(Objective(usd_weight=price))
        choice = choose(snapshot, Context(case.embeddings[i], case.tokens[i]), terms, float(rng.random()))
        k = picked[t] = choice.index
        lesson = Lesson(quality=float(case.quality[i, k]), cost_usd=float(case.cost[i, k]))
        belief.learn(case.models[k], rows[i], lesson)
        frozen = belief.freeze(case.models)
        price = paced(price, float(choice.pmf @ choice.expected[1]), budget)
    return order, picked


def fit_ridge(case, dimension, penalty):
    """Return what a ridge regression per model, fitted on the history, expects of every prompt."""
    x, history = case.embeddings.astype(np.float64), case.history
    centred = x - x[history].mean(axis=0)
    components = np.linalg.eigh(centred[history].T @ centred[history])[1][:, : -dimension - 1 : -1]
    rows = centred @ components
    rows = np.hstack([np.ones((len(rows), 1)), rows / np.sqrt(np.mean(np.sum(rows[history] ** 2, axis=1)))])
    gram = rows[history].T @ rows[history] + np.diag([1e-6, *[penalty] * dimension])
    quality = rows @ np.linalg.solve(gram, rows[history].T @ case.quality[history])
    cost = np.exp(rows @ np.linalg.solve(gram, rows[history].T @ np.log(case.cost[history])))
    cost *= case.cost[history].mean(axis=0) / cost[history].mean(axis=0)
    return Prediction(np.stack([quality, np.zeros_like(quality), cost, np.ones_like(cost)], axis=1))


def run_ridge(case, prediction, budget):
    """Route the measured prompts by what is expected of them."""
    price = price_for(Prediction(prediction.values[case.history]), budget)
    utility = prediction.quality - price * prediction.cost_usd
    return case.measured, np.argmax(utility[case.measured], axis=1)


def print_ridges(cases, ours):
    """Print what each pair of dimension and penalty gains, mean over budgets, beside *ours*, one number a seed."""
    print(f"{'ridge':>10} {'gain':>8} {'seeds':>7} {'- ours':>8} {'':>7}")
    for dimension, penalty in itertools.product(DIMENSIONS, PENALTIES):
        gains = np.empty(len(cases))
        for seed, case in enumerate(cases):
            prediction = fit_ridge(case, dimension, penalty)
            gains[seed] = np.mean([measure(case, *run_ridge(case, prediction, budget))[0] for budget in case.budgets])
        more = gains - ours
        print(f"{dimension:5d} {penalty:4d} {gains.mean():+8.4f} {interval(gains):7.4f} {more.mean():+8.4f} "
              f"{interval(more):7.4f}", flush=True)  # fmt: skip


def interval(values):
    """Return half of the 95 % interval of the mean of values, one a seed."""
    return 1.96 * np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan


def run_cold(case, policy, seed, budget):
    """Route the history from nothing, through the learner's own state machine and its fits."""
    router = RouterSpec(
        f"bench-{seed}", PolicySpec(policy.preset, dict(policy.values)), embedding_dimension=case.embeddings.shape[1]
    )
    engine = Engine(router, case.models, seed)
    order = np.random.default_rng([seed, 8]).permutation(case.measured)
    picked = np.empty(len(order), np.int64)
    price, spent = 0.0, 0.0
    for t, i in enumerate(order):
        if t == 0 and np.isfinite(budget):
            price = 0.3 / budget
        position, decision = engine.route(case.embeddings[i], Terms(Objective(usd_weight=price)), case.tokens[i])
        k = picked[t] = decision.choice.index
        spent += float(case.cost[i, k])
        engine.learn(position, decision, Lesson(quality=float(case.quality[i, k]), cost_usd=float(case.cost[i, k])))
        expected = float(decision.choice.pmf @ decision.choice.expected[1])
        # What was overspent is saved over as many prompts as were served, at least a hundred.
        debt = (spent - budget * (t + 1)) / max(t + 1, 100) if np.isfinite(budget) else 0.0
        price = paced(price, expected + debt, budget)
    return order, picked


def paced(price, expected, budget):
    """The emulated pacer: the price goes with the logarithm of expected cost over budget, by small steps."""
    if not np.isfinite(budget):
        return price
    ratio = (expected - budget) / budget
    return max(price, 1e-3 / budget) * float(np.exp(STEP * np.clip(ratio, -1.0, 50.0)))


def measure(case, order, picked):
    """Mean cost and quality, gains."""
    q, c = case.quality[order], case.cost[order]
    index = np.arange(len(order))
    quality, cost = q[index, picked].mean(), c[index, picked].mean()
    hull = fixed_mix_hull(c.mean(axis=0), q.mean(axis=0))
    history = fixed_mix_hull(case.cost[case.history].mean(axis=0), case.quality[case.history].mean(axis=0))
    base = hull_quality(hull, max(cost, hull.cost[0]))
    chosen = gain_over_chosen_mix(history, c.mean(axis=0), q.mean(axis=0), cost=cost, quality=quality)
    return quality - base, chosen, cost, quality, (q.max(axis=1).mean() - base)


def bootstrap(case, runs, rng):
    """Standard deviation of the mean gain over draws of the measured prompts, the hull drawn with them."""
    gains = []
    for _ in range(BOOTSTRAPS // 5):
        pick = rng.integers(0, len(case.measured), len(case.measured))
        gains.append(np.mean([measure(case, order[pick], picked[pick])[0] for order, picked in runs]))
    return float(np.std(gains))


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", default="pareto," + ",".join(SHARED))
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--preset", default="linucb")
    parser.add_argument("--set", action="append", default=[], help="a parameter of the preset, name=value")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--resplit", action="store_true")
    parser.add_argument("--ridge", action="store_true")
    arguments = parser.parse_args()
    if arguments.cold and (arguments.resplit or arguments.ridge):
        parser.error("--cold has no history to split or to fit")
    own = {name: float(value) for name, value in (each.split("=") for each in arguments.set)}
    policy = resolve(PolicySpec(arguments.preset, own))
    for name in arguments.sets.split(","):
        case = load(name, arguments.shared, arguments.cold)
        started = time.perf_counter()
        seeds = range(arguments.seeds)
        cases = [case.resplit(seed) if arguments.resplit else case for seed in seeds]
        trained, penalties = [], []
        for seed in () if arguments.cold else seeds:
            features, rows, belief = taught(cases[seed], policy, seed)
            trained.append((features, rows, belief.to_arrays()))
            penalties.append(belief.slope_penalty)
        history = fixed_mix_hull(case.cost[case.history].mean(axis=0), case.quality[case.history].mean(axis=0))
        q, c = case.quality[case.measured].mean(axis=0), case.cost[case.measured].mean(axis=0)
        hull = fixed_mix_hull(c, q)
        print(f"\n{name}: {len(case.models)} models, {len(case.history)} + {len(case.measured)} prompts, "
              f"{arguments.preset} {own or ''}, slope penalties {penalties}")  # fmt: skip
        print(
            f"{'budget':>10} {'gain':>8} {'seeds':>7} {'prompts':>8} {'v. chosen':>9} {'chosen':>8} "
            f"{'ratio':>6} {'way':>6}"
        )
        means, gains = [], []
        for budget in case.budgets:
            runs = [
                run_cold(cases[seed], policy, seed, budget)
                if arguments.cold
                else run_warm(cases[seed], policy, seed, budget, trained[seed])
                for seed in seeds
            ]
            found = np.array([measure(one, *run) for one, run in zip(cases, runs, strict=True)])
            mean = found.mean(axis=0)
            gains.append(found[:, 0])
            drawn = constant = np.nan
            if not arguments.resplit:
                mix = chosen_mix(history, budget=max(budget, history.cost[0]), models_count=len(case.models))
                mix_cost, mix_quality = mix_point(mix, c, q)
                constant = mix_quality - hull_quality(hull, max(mix_cost, hull.cost[0]))
                drawn = 1.96 * bootstrap(case, runs, np.random.default_rng(0))
            print(f"{budget:10.3g} {mean[0]:+8.4f} {interval(found[:, 0]):7.4f} {drawn:8.4f} {mean[1]:+9.4f} "
                  f"{constant:+8.4f} {mean[2] / budget:6.3f} {mean[0] / mean[4]:6.2f}", flush=True)  # fmt: skip
            means.append((mean[0], mean[1], constant))
        overall = np.mean(means, axis=0)
        ours = np.mean(gains, axis=0)
        print(f"{'mean':>10} {overall[0]:+8.4f} {interval(ours):7.4f} {'':8} {overall[1]:+9.4f} {overall[2]:+8.4f}  "
              f"({time.perf_counter() - started:.0f} s)", flush=True)  # fmt: skip
        if arguments.ridge:
            print_ridges(cases, ours)


if __name__ == "__main__":
    main()
