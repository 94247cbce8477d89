"""Quality per dollar under budgets, beside everything it is to be held against.

    python tests/bench/bench_budget.py                     20 seeds, two processes: about half an hour
    python tests/bench/bench_budget.py --seeds 3 --skip paretobandit
    python tests/bench/bench_budget.py --resplit           each seed measures other prompts

Needs the packages paretobandit (its data, and the router beside ours) and banditd-sim[embed] (all-MiniLM-L6-v2). The
prompts are embedded once, into out/demo/embeddings.

Protocol: three models of 30, 530 and 15,000 USD per million calls. Measured are the 1,824 prompts of `test_holdout`, in
an order drawn per seed, while learning goes on; budgets are means per prompt.

warm    `val` (1,785 prompts) with the outcomes of all models is the history. It spends nothing: the budget begins with
        the first measured prompt.
cold    Nothing is known but list prices. `val` comes first, shuffled, decided within the same budget, and of each
        prompt the chosen model's outcome is all that is seen. What those first rounds gain is listed as "gain while
        learning"; what a budget was owed or saved in them goes on into the measured ones.
phases  Warm; in the middle third of the measured prompts the dear model costs 0.10 USD per million tokens, and the
        catalogue says so. A budget that the dearest choices would not spend does not bind, and has no ratio there.

Baselines know `val` with all outcomes: each constant model, the fixed mix that `val` would choose at the budget, the
best model per category of `val` at one price of money, and the oracle of the measured prompts within the budget.
ParetoBandit 0.1.1 has the same prompts, orders, embeddings, prices and budgets; see peer_paretobandit.py.

gain    quality above the upper hull of the constant models at the cost that was spent, in hindsight on the same prompts
chosen  the same above the mixes of the hull of `val`
way     gain over what the oracle gains at that cost

Intervals are 95 %, over seeds: orders and draws, and with `--resplit` prompts. There each seed draws which of all
prompts are `val` and which are measured, as many as before, so that no figure is the luck of one split.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from pareto import BUDGETS, PRICE_FALLS, Banditd, figures, open_pareto, play_known
from peer_paretobandit import play_paretobandit
from rich.console import Console
from rich.table import Table

from banditd_sim.environments.router import RouterPolicy
from banditd_sim.environments.scenario import PLAIN
from banditd_sim.metrics.seeds import seed_mean

OURS, PEER = "banditd", "paretobandit"
KNOWN = ("fixed_mix", "category_table", "oracle")
# A constant has no budget to keep; it is measured once.
CONSTANT = "constant:"
SEEDS_PER_TASK = 5


def task(player, budget, seeds, preset, *, warm, phases, resplit):
    """Play some seeds; return what each comes to."""
    pareto = open_pareto()
    scenario = PRICE_FALLS if phases else PLAIN
    ours = None
    found = []
    for seed in seeds:
        if resplit:
            pareto, ours = open_pareto().resplit(seed), None
        if ours is None and player == OURS:
            ours = Banditd(pareto, budget, warm=warm, policy=RouterPolicy(preset), scenario=scenario)
        world = pareto.world(seed, warm=warm, scenario=scenario)
        if player == OURS:
            rounds = ours.play(world)
        elif player == PEER:
            rounds = play_paretobandit(pareto, world, budget, warm=warm)
        else:
            rounds = play_known(pareto, world, budget, player)
        found.append(figures(pareto, world, rounds, budget))
    return found


def tasks(players, seeds):
    """Yield the arguments of every task that the tables need."""
    parts = [range(first, min(first + SEEDS_PER_TASK, seeds)) for first in range(0, seeds, SEEDS_PER_TASK)]
    for kind in ("warm", "cold", "phases"):
        for player in players:
            learns = player in (OURS, PEER)
            if kind != "warm" and not learns:
                continue
            for budget in (None,) if player.startswith(CONSTANT) else BUDGETS:
                if kind == "phases" and budget is None:
                    continue
                for part in parts:
                    yield kind, player, budget, part


def interval(values, digits):
    """Return a mean and its interval as text; nothing where the values are none."""
    if np.isnan(values).any():
        return ""
    if len(values) < 2:
        return f"{values[0]:+.{digits}f}"
    mean = seed_mean(values)
    return f"{mean.mean:+.{digits}f} ± {(mean.high - mean.low) / 2:.{digits}f}"


def ratios(values):
    """Return the mean of ratios and their range as text."""
    return "" if np.isnan(values).any() else f"{np.mean(values):.3f} ({np.min(values):.3f}..{np.max(values):.3f})"


def budget_name(budget):
    """Return how a budget is printed."""
    return "none" if budget is None else f"{budget:.1e}"


def print_gains(console, title, found):
    """Print one row per budget and player."""
    table = Table(title=title)
    names = ("budget", "player", "quality", "gain", "chosen", "way", "cost / budget", "shares", "gain while learning")
    for name in names:
        table.add_column(name, justify="left" if name in ("budget", "player") else "right")
    for (budget, player), each in found.items():
        columns = {name: np.array([one[name] for one in each]) for name in each[0]}
        table.add_row(
            budget_name(budget),
            player,
            f"{columns['quality'].mean():.4f}",
            interval(columns["gain"], 4),
            interval(columns["chosen_gain"], 4),
            f"{columns['way'].mean():.2f}",
            ratios(columns["ratio"]),
            " ".join(f"{share:.3f}" for share in columns["shares"].mean(axis=0)),
            interval(columns["learning_gain"], 4),
        )
    console.print(table)


def print_phases(console, found):
    """Print what each third cost, where a budget can bind."""
    table = Table(title="cost / budget by thirds; in the second the dear model costs 0.10 USD per million tokens")
    for name in ("budget", "player", "first", "second", "third"):
        table.add_column(name, justify="left" if name in ("budget", "player") else "right")
    for (budget, player), each in found.items():
        thirds = np.array([one["thirds"] for one in each]) / budget
        most = np.array([one["most_usd"] for one in each]).min(axis=0) / budget
        cells = [
            interval(third, 3).removeprefix("+") if at_most > 1.0 else "does not bind"
            for third, at_most in zip(thirds.T, most, strict=True)
        ]
        table.add_row(budget_name(budget), player, *cells)
    console.print(table)


def main():
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--preset", default="linucb")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--skip", default="", help="players to leave out, separated by commas")
    parser.add_argument("--kinds", default="warm,cold,phases")
    parser.add_argument("--resplit", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("out/budget.json"))
    arguments = parser.parse_args()
    console = Console(width=180)
    started = time.perf_counter()
    models = open_pareto().arena.model_ids
    skipped = arguments.skip.split(",")
    players = [p for p in (OURS, PEER, *KNOWN, *(CONSTANT + model for model in models)) if p not in skipped]
    work = [one for one in tasks(players, arguments.seeds) if one[0] in arguments.kinds.split(",")]
    results = Parallel(n_jobs=arguments.jobs)(
        delayed(task)(
            player,
            budget,
            part,
            arguments.preset,
            warm=kind != "cold",
            phases=kind == "phases",
            resplit=arguments.resplit,
        )
        for kind, player, budget, part in work
    )
    found = {}
    for (kind, player, budget, _), each in zip(work, results, strict=True):
        found.setdefault(kind, {}).setdefault((budget, player), []).extend(each)
    console.print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {arguments.seeds} seeds"
    )
    for kind, rows in found.items():
        ordered = dict(sorted(rows.items(), key=lambda row: (BUDGETS.index(row[0][0]), players.index(row[0][1]))))
        if kind == "phases":
            print_phases(console, ordered)
        else:
            print_gains(console, f"{kind}, {arguments.preset}", ordered)
    console.print(f"{time.perf_counter() - started:.0f} s")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(_plain(found), indent=2) + "\n")


def _plain(found):
    """Return the figures as lists and numbers, one entry per kind, budget and player."""
    return [
        {
            "kind": kind,
            "budget_usd": budget,
            "player": player,
            **{name: [np.asarray(one[name]).tolist() for one in each] for name in each[0]},
        }
        for kind, rows in found.items()
        for (budget, player), each in rows.items()
    ]


if __name__ == "__main__":
    main()
