"""Figures of comparisons: python tests/bench/bench_duel.py [ranking] [routing] [speed] [liars] [--seeds 20].

ranking    Votes of people (mtbench_human), replayed one by one: the order after half of them, coverage of its intervals
           by the ratings of all, and dueling regret when the learner chooses the pairs.
routing    Prompts of alpaca_eval_v1 and _v2, cold, comparisons only: share of the best model in the last 100 choices,
           and regret beside a dueling bandit without context and beside uniform choice.
speed      Microseconds per update.
liars      One judge in twenty lies: whether the intervals still hold the ratings without liars.

Means over seeds, with 95 % intervals by the normal approximation. Writes out/bench_duel.json.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from banditd.domain.comparison import Comparison, ShownFirst, Winner
from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, OutcomeStatus
from banditd.domain.records import ComparisonRecord
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.encode import encode
from banditd.learner.leaderboard import normal_quantile
from banditd.policies.ratings import Votes, fit_ratings
from banditd.routing.choose import Terms
from banditd_sim.datasets import open_dataset
from banditd_sim.environments.engine import Engine

DATA = Path(os.environ.get("BANDITD_SHARED_DIR", Path(__file__).resolve().parents[3] / "shared")) / "data"
CONFIDENCE = 0.9
ANYTHING = Terms(Objective())
PAIR = Terms(Objective(), compares=True)
LAST = 100
# Of dueling; about a quarter of the votes.
ROUNDS = 1000
WINNERS = (Winner.A, Winner.B, Winner.TIE, Winner.BOTH_BAD)


def shown(values):
    """Return mean and half of a 95 % interval."""
    values = np.asarray(values, float)
    return float(values.mean()), float(1.96 * values.std(ddof=1) / np.sqrt(len(values)))


def table_of(name):
    """Return a data set."""
    return open_dataset(DATA / name).data


def votes_of(comparisons, rows=slice(None), flip=None):
    """Return comparisons as votes; those of the judges in *flip* say the opposite."""
    names = sorted(set(comparisons.judge))
    judge = np.array([names.index(j) for j in comparisons.judge])
    won = np.asarray(comparisons.winner).copy()
    if flip is not None:
        lies = np.isin(judge, flip)
        won = np.where(lies & (won < 2), 1 - won, won)
    shares = np.eye(3)[np.minimum(won, 2)]
    order = np.ones(len(won))
    return Votes(*(np.asarray(v)[rows] for v in (comparisons.model_a, comparisons.model_b, shares, order, judge)))


def kendall(a, b):
    """Return Kendall's tau of two rankings without ties."""
    n = len(a)
    agree = [np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i in range(n) for j in range(i)]
    return float(np.mean(agree))


def engine_for(table, seed, preset="duel", **parameters):
    """Return a cold engine for a data set."""
    models = tuple(ModelSpec(k, m.model_id) for k, m in enumerate(table.models))
    dimension = table.embeddings.shape[1]
    router = RouterSpec("bench", PolicySpec(preset, parameters), embedding_dimension=dimension)
    return Engine(router, models, seed)


def tell(engine, context, a, b, winner, judge="", first=ShownFirst.UNKNOWN):
    """Record a comparison."""
    comparison = Comparison(int(a), int(b), winner, judge, None, first)
    engine.append(ComparisonRecord("bench", 0, context, comparison, OutcomeStatus.APPLIED))


def dueling_regret(utility, a, b):
    """Return by how much the best would be preferred to the two, on average: 0 where both are the best."""
    best = utility.max()
    return sum(0.5 * (1.0 / (1.0 + np.exp(utility[k] - best))) - 0.25 for k in (a, b)) * 2.0


def ranking(seeds):
    """Figure 1."""
    table = table_of("mtbench_human")
    c = table.comparisons
    everything = fit_ratings(votes_of(c), len(table.models))
    z = normal_quantile(CONFIDENCE)
    taus_early, covered_early, taus, covered, covered_others, covered_sampled = [], [], [], [], [], []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(c))
        half = len(c) // 2
        first = fit_ratings(votes_of(c, order[:half]), len(table.models))
        taus.append(kendall(first.utility, everything.utility))
        reach = z * first.quantile_scale * first.deviation
        covered.append(np.mean(np.abs(first.utility - everything.utility) <= reach))
        # People vote one after another: the first half of the votes is that of half of the judges.
        names = np.random.default_rng([seed, 5]).permutation(sorted(set(c.judge))).tolist()
        rank = {name: k for k, name in enumerate(names)}
        by_judge = np.argsort([rank[judge] for judge in c.judge], kind="stable")[:half]
        early = fit_ratings(votes_of(c, by_judge), len(table.models))
        reach = z * early.quantile_scale * early.deviation
        covered_early.append(np.mean(np.abs(early.utility - everything.utility) <= reach))
        taus_early.append(kendall(early.utility, everything.utility))
        # What is in the half is in the whole too: the difference's interval is narrower by the root of what is out.
        sampled = fit_ratings(votes_of(c, order[:half]), len(table.models), clusters_judges=False)
        reach = z * sampled.deviation * np.sqrt(1.0 - half / len(c))
        covered_sampled.append(np.mean(np.abs(sampled.utility - everything.utility) <= reach))
        # Judges who had no part in it: as far as the intervals speak of other judges.
        mine = set(names[: len(names) // 2])
        of_mine = np.array([judge in mine for judge in c.judge])
        one, other = (fit_ratings(votes_of(c, np.flatnonzero(m)), len(table.models)) for m in (of_mine, ~of_mine))
        both = z * np.sqrt((one.quantile_scale * one.deviation) ** 2 + (other.quantile_scale * other.deviation) ** 2)
        covered_others.append(np.mean(np.abs(one.utility - other.utility) <= both))
    return {
        "tau_half": shown(taus),
        "coverage_of_final": shown(covered),
        "tau_half_judge_by_judge": shown(taus_early),
        "coverage_of_final_judge_by_judge": shown(covered_early),
        "coverage_of_final_as_a_sample_of_it": shown(covered_sampled),
        "coverage_of_other_judges": shown(covered_others),
    } | regrets(table, everything.utility, seeds)


def regrets(table, utility, seeds):
    """Replay the votes, each asked for once by whoever chooses the pair; a prompt offers what is left of its pairs."""
    c = table.comparisons
    found = {"uniform": [], "duel": [], "context_free": []}
    for seed in range(seeds):
        for player, totals in found.items():
            rng = np.random.default_rng([seed, 7])
            left: dict[tuple[int, int], list[int]] = {}
            for row in rng.permutation(len(c)):
                left.setdefault(tuple(sorted((c.model_a[row], c.model_b[row]))), []).append(int(row))
            engine = None if player == "uniform" else engine_for(table, seed, "duel", **_free(player))
            total = 0.0
            for _ in range(ROUNDS):
                # A pair is asked of the votes; its prompt comes with the vote, as judges come with their questions.
                if engine is None:
                    a, b = (int(k) for k in rng.choice(len(table.models), 2, replace=False))
                else:
                    x = table.embeddings[int(rng.integers(len(table.embeddings)))]
                    _, decision = engine.route(x, PAIR)
                    a, b = decision.choice.index, decision.choice.rival.index
                total += dueling_regret(utility, a, b)
                if engine is None:
                    continue
                rows = left[tuple(sorted((a, b)))]
                # Votes are drawn anew once a pair's are used up.
                row = rows[int(rng.integers(len(rows)))]
                context = Context(table.embeddings[c.prompt[row]])
                tell(
                    engine, context, c.model_a[row], c.model_b[row], WINNERS[c.winner[row]], c.judge[row], ShownFirst.A
                )
            totals.append(total)
    base = np.array(found["uniform"])
    return {f"regret_{name}": shown(totals) for name, totals in found.items()} | {
        f"regret_below_uniform_{name}": shown(1.0 - np.array(totals) / base) for name, totals in found.items()
    }


def _free(player):
    """Return parameters under which slopes stay zero: no context."""
    return {"slope_penalty": 1e6} if player == "context_free" else {}


def routing(seeds, passes=1):
    """Figure 2: each prompt once; the policy chooses a model, and its comparison with a rival is told.

    The sets hold comparisons of each model with one reference. Two models are compared by how they did against it: the
    vote goes to who did better, and is a tie where they did alike. The reference itself is the model that ties always.
    """
    found = {}
    for name in ("alpaca_eval_v1", "alpaca_eval_v2"):
        table = table_of(name)
        quality = np.nan_to_num(table.quality, nan=0.0)
        best = int(quality.mean(axis=0).argmax())
        players = {"duel": "duel", "context_free": "context_free", "uniform": ""}
        rows = {f"{p}_{what}": [] for p in players for what in ("share", "regret")}
        for seed in range(seeds):
            for player in players:
                rng = np.random.default_rng([seed, 11])
                order = np.concatenate([rng.permutation(len(quality)) for _ in range(passes)])
                engine = None if player == "uniform" else engine_for(table, seed, "duel", **_free(player))
                chosen, regret = [], 0.0
                for i in order:
                    x = table.embeddings[i]
                    if engine is None:
                        a, b = (int(k) for k in rng.choice(quality.shape[1], 2, replace=False))
                    else:
                        _, decision = engine.route(x, PAIR)
                        a, b = decision.choice.index, decision.choice.rival.index
                    chosen.append(a)
                    regret += quality[i, best] - quality[i, a]
                    if engine is None:
                        continue
                    difference = quality[i, a] - quality[i, b]
                    winner = Winner.A if difference > 0 else Winner.B if difference < 0 else Winner.TIE
                    tell(engine, Context(x), a, b, winner)
                rows[f"{player}_share"].append(np.mean(np.array(chosen[-LAST:]) == best))
                rows[f"{player}_regret"].append(regret)
        found[name] = {key: shown(values) for key, values in rows.items()} | {
            "best": table.models[best].model_id,
            "rounds": len(order),
            "oracle_over_best": float(quality.max(axis=1).mean() - quality.mean(axis=0).max()),
            "nearest": nearest(table, quality, best),
        }
    return found


def nearest(table, quality, best):
    """Return how the best model stands to the next: shares of prompts, and prompts until the gap is two errors."""
    second = int(np.argsort(-quality.mean(axis=0))[1])
    gap = quality[:, best] - quality[:, second]
    return {
        "model": table.models[second].model_id,
        "better": float((gap > 0).mean()),
        "tied": float((gap == 0).mean()),
        "worse": float((gap < 0).mean()),
        "gap": float(gap.mean()),
        "prompts_to_tell": float((2.0 * gap.std() / gap.mean()) ** 2),
    }


def speed(_):
    """Figure 6: one update with N = 66 (D = 64 from 384 values), and what stands around it."""
    table = table_of("mtbench_human")
    engine = engine_for(table, 0)
    belief, features = engine.router.belief, engine.router.features
    model_a, model_b = (engine.state.catalog.by_slot[k] for k in (0, 1))
    row = encode(features, Context(table.embeddings[0], 100))
    comparison = Comparison(0, 1, Winner.A, "ann", None, ShownFirst.A)
    utilities = belief._utility(model_a), belief._utility(model_b)
    from banditd.kernels.duel import update_duel, update_utility

    a, b = utilities

    def kernel():
        update_duel(a.cov, a.mean, b.cov, b.mean, belief._judges.shared, row, 1.0, 0.0, 0.0, 1.0, 0.9, 1.0)

    found = {"N": len(row)}
    for name, call in {
        "update_duel_us": kernel,
        "compare_us": lambda: belief.compare(model_a, model_b, row, comparison),
        "update_utility_us": lambda: update_utility(a.cov, a.mean, row, 0.7, 4.0),
        "learn_score_us": lambda: belief.learn(model_a, row, Lesson(quality=0.7)),
    }.items():
        best = np.inf
        for _ in range(30):
            start = time.perf_counter()
            for _ in range(200):
                call()
            best = min(best, (time.perf_counter() - start) / 200)
        found[name] = best * 1e6
    return found


def liars(seeds):
    """Figure 7: of the judges that have votes, one in twenty (at least one) says the opposite of everything."""
    table = table_of("mtbench_human")
    c = table.comparisons
    clean = fit_ratings(votes_of(c), len(table.models))
    names = sorted(set(c.judge))
    z = normal_quantile(CONFIDENCE)
    share = max(1, round(0.05 * len(names)))
    off, off_plain, moved, moved_plain, caught = [], [], [], [], []
    for seed in range(seeds):
        flip = np.random.default_rng([seed, 3]).choice(len(names), share, replace=False)
        votes = votes_of(c, flip=flip)
        for weighs, missed, shift in ((True, off, moved), (False, off_plain, moved_plain)):
            fitted = fit_ratings(votes, len(table.models), weighs_judges=weighs)
            reach = z * fitted.quantile_scale * fitted.deviation
            missed.append(int(np.sum(np.abs(fitted.utility - clean.utility) > reach)))
            shift.append(float(np.max(np.abs(fitted.utility - clean.utility))))
            if weighs:
                caught.append(float(np.mean(fitted.honest[flip] < 0.5)))
    # A world of sixty equal judges, whose intervals are far narrower.
    known = {True: [], False: []}
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 13])
        truth, count = np.linspace(1.0, -1.0, 6), 10_000
        a = rng.integers(0, 6, count)
        b = (a + rng.integers(1, 6, count)) % 6
        judge = rng.integers(0, 60, count)
        u, gap = rng.random(count), truth[a] - truth[b]
        for_a = 1.0 / (1.0 + np.exp(0.3 - gap))
        said = np.where(u < for_a, 0, np.where(u < for_a + 1.0 / (1.0 + np.exp(0.3 + gap)), 1, 2))
        lied = np.where((judge < 3) & (said < 2), 1 - said, said)
        honest = fit_ratings(Votes(a, b, np.eye(3)[said], np.zeros(count), judge), 6)
        for weighs, missed in known.items():
            fitted = fit_ratings(Votes(a, b, np.eye(3)[lied], np.zeros(count), judge), 6, weighs_judges=weighs)
            reach = z * fitted.quantile_scale * fitted.deviation
            missed.append(int(np.sum(np.abs(fitted.utility - honest.utility) > reach)))
    return {
        "known_world_intervals_off": int(np.sum(known[True])),
        "known_world_intervals_off_unweighed": int(np.sum(known[False])),
        "liars": share,
        "judges": len(names),
        "intervals_off": int(np.sum(off)),
        "intervals_off_unweighed": int(np.sum(off_plain)),
        "intervals": seeds * len(table.models),
        "largest_shift_logits": shown(moved),
        "largest_shift_logits_unweighed": shown(moved_plain),
        "liars_caught": shown(caught),
    }


FIGURES = {"ranking": ranking, "routing": routing, "speed": speed, "liars": liars}


def main():
    """Print and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES], default=[])
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    out = Path("out/bench_duel.json")
    out.parent.mkdir(exist_ok=True)
    found = json.loads(out.read_text()) if out.exists() else {}
    for name in options.figures or FIGURES:
        found[name] = FIGURES[name](options.seeds)
        print(name, json.dumps(found[name], indent=2))
    out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
