"""Rounds per second of the replay loop, beside others: python tests/bench/bench_sim.py [rounds] [--profile].

Choose, reveal, update on the same prompts in the same order; K = 3, context of 32 values. What the loops do is not
equal: ours encodes, draws ids and uniforms, logs decisions and outcomes, learns cost beside quality, and re-fits its
encoding; the NumPy loop is Li et al. 2010's algorithm 1 with a Sherman-Morrison update and nothing else. The budget, of
ours and of ParetoBandit, is what the model in the middle costs. All are timed in turns in one process; medians are
printed. Nothing is asserted.
"""

import contextlib
import cProfile
import io
import os
import platform
import pstats
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.replay import LearningRouter, replay
from banditd_sim.environments.router import RouterPolicy
from banditd_sim.environments.scenario import Scenario
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World
from tests.sim.environments.worlds import learnable

D, K, TURNS = 32, 3, 5


def ours(world, policy, budget=None):
    """Return seconds of one replay."""
    router = LearningRouter(world.arena, world.scenario, policy, budget, 0)
    begin = time.process_time()
    replay(world, router)
    return time.process_time() - begin


def numpy_linucb(world, alpha=0.5):
    """Return seconds of LinUCB in NumPy on raw contexts with an intercept."""
    rows, quality, cost = world.rows, world.arena.quality, world.arena.cost_usd
    x = np.concatenate([np.ones((len(world.arena.embeddings), 1)), world.arena.embeddings.astype(float)], axis=1)
    a_inv = np.stack([np.eye(D + 1)] * K)
    b, theta = np.zeros((K, D + 1)), np.zeros((K, D + 1))
    begin = time.process_time()
    for row in rows:
        xt = x[row]
        ax = a_inv @ xt
        k = int(np.argmax(theta @ xt + alpha * np.sqrt(ax @ xt)))
        reward = quality[row, k] - cost[row, k]
        u = ax[k]
        a_inv[k] -= np.outer(u, u) / (1.0 + u @ xt)
        b[k] += reward * xt
        theta[k] = a_inv[k] @ b[k]
    return time.process_time() - begin


def paretobandit(world, budget=None):
    """Return seconds of ParetoBandit's router through its public calls, or None where it is not importable."""
    try:
        from pareto_bandit import BanditRouter, FeatureService
        from pareto_bandit.budget_pacer import BudgetPacer, PacingMode
    except ImportError:
        return None
    registry = {
        model.model_id: {"input_cost_per_m": model.input_mtok_usd, "output_cost_per_m": model.output_mtok_usd}
        for model in world.arena.models
    }
    x = np.concatenate([world.arena.embeddings.astype(float), np.ones((len(world.arena.embeddings), 1))], axis=1)
    features = FeatureService.for_precomputed(dimension=D + 1)
    pacer = None if budget is None else BudgetPacer(budget, mode=PacingMode.ADAPTIVE)
    router = BanditRouter.create(registry, priors="none", feature_service=features, budget_pacer=pacer)
    quality, cost, index = world.arena.quality, world.arena.cost_usd, world.arena.model_ids
    begin = time.process_time()
    for row in world.rows:
        model_id, log = router.route(x[row])
        k = index.index(model_id)
        log.cost_usd = float(cost[row, k])
        router.process_feedback(log.request_id, float(quality[row, k]))
    return time.process_time() - begin


def main():
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 5000
    table = learnable(rounds, dimension=D, models=K)
    arena = arena_of(table)
    rows = np.arange(rounds)
    world = World(arena, timeline(Scenario(), arena, rows), np.zeros(0, np.int64), rows, 0)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, numpy {np.__version__}; {rounds:,} rounds, D = {D}, K = {K}")
    budget = float(np.median(arena.cost_usd.mean(axis=0)))
    runs = {
        "banditd-sim, linucb": lambda: ours(world, RouterPolicy("linucb", usd_weight=1.0)),
        "banditd-sim, linucb, a budget": lambda: ours(world, RouterPolicy("linucb"), budget),
        "banditd-sim, lin_thompson": lambda: ours(world, RouterPolicy("lin_thompson", usd_weight=1.0)),
        "NumPy LinUCB, bare loop": lambda: numpy_linucb(world),
        "ParetoBandit": lambda: paretobandit(world),
        "ParetoBandit, a budget": lambda: paretobandit(world, budget),
    }
    found = {name: [] for name in runs}
    for turn in range(TURNS + 1):
        for name, run in runs.items():
            with contextlib.redirect_stdout(io.StringIO()) if turn else contextlib.nullcontext():
                seconds = run()
            # The first turn compiles and warms up.
            if turn and seconds is not None:
                found[name].append(seconds)
    base = rounds / statistics.median(found["banditd-sim, linucb"])
    for name, seconds in found.items():
        if seconds:
            rate = rounds / statistics.median(seconds)
            print(f"{name:30} {rate:10,.0f} rounds/s per core   {rate / base:5.2f} x linucb")
        else:
            print(f"{name:30}   not measured")
    if "--profile" in sys.argv:
        profile = cProfile.Profile()
        profile.runcall(runs["banditd-sim, linucb"])
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
