"""Small tables, written out by hand."""

import numpy as np

from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.scenario import Scenario
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World
from banditd_sim.table import Table, TableModel

NONE = np.zeros(0, np.int64)


def make_table(quality, cost, *, prices=None, category=None, split=None, tokens=None, seed=0, dimension=4, name="hand"):
    """Return a table of quality and cost (N, K); models are m0, m1, ...; embeddings are drawn."""
    quality, cost = np.asarray(quality, float), np.asarray(cost, float)
    n, k = quality.shape
    prices = prices or [(1.0, 1.0)] * k
    gaps = np.full((n, k), np.nan)
    embeddings = np.random.default_rng(seed).standard_normal((n, dimension)).astype(np.float16)
    return Table(
        name=name,
        prompt_ids=tuple(f"p{i}" for i in range(n)),
        texts=tuple(f"prompt {i}" for i in range(n)),
        category=tuple(category or ["all"] * n),
        split=tuple(split or [""] * n),
        models=tuple(TableModel(f"m{j}", *price) for j, price in enumerate(prices)),
        quality=quality,
        cost_usd=cost,
        input_tokens=gaps if tokens is None else np.full((n, k), float(tokens[0])),
        output_tokens=gaps if tokens is None else np.full((n, k), float(tokens[1])),
        latency_ms=gaps,
        embeddings=embeddings,
        fingerprint=f"{seed:032x}",
    )


def flat(n, quality, cost, **rest):
    """Return a table in which every prompt is like every other."""
    return make_table(np.tile(quality, (n, 1)), np.tile(cost, (n, 1)), **rest)


def world_of(table, events=(), seed=0, learn=NONE, rows=None):
    """Return a world of all rows, or of *rows*, under *events*."""
    arena = arena_of(table)
    rows = np.arange(len(table.prompt_ids)) if rows is None else rows
    return World(arena, timeline(Scenario("hand", list(events)), arena, rows), learn, rows, seed)


def learnable(n, seed=0, models=3, dimension=8, noise=0.05, name="learnable", split=None):
    """Return a table whose qualities are linear in the embedding; dearer models are better on average."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, dimension))
    theta = rng.standard_normal((dimension, models)) * 0.15
    quality = np.clip(0.45 + 0.12 * np.arange(models) + x @ theta + noise * rng.standard_normal((n, models)), 0.0, 1.0)
    cost = 1e-4 * 10.0 ** np.arange(models) * rng.lognormal(0.0, 0.3, (n, models))
    table = make_table(
        quality,
        cost,
        prices=[(10.0**k, 10.0**k) for k in range(models)],
        category=[f"c{i % 3}" for i in range(n)],
        split=split or ["train" if i % 2 else "test" for i in range(n)],
        name=name,
        seed=seed,
    )
    from dataclasses import replace

    return replace(table, embeddings=x.astype(np.float16))
