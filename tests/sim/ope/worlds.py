"""Synthetic worlds with known values, and the checks that judge an estimator by them."""

from dataclasses import dataclass

import numpy as np

from banditd_sim.ope import LoggedRounds


@dataclass(frozen=True)
class World:
    """Prompts of M kinds, equally likely; K models; Bernoulli rewards. Everything is known."""

    features: np.ndarray  # (M, D)
    mean: np.ndarray  # (M, K) expected reward
    logging: np.ndarray  # (M, K) pmf
    target: np.ndarray  # (M, K) pmf
    floor: float

    @property
    def truth(self):
        """The target's value."""
        return float((self.target * self.mean).sum(axis=1).mean())


def make_world(seed=0, *, kinds=12, models=4, heat=1.0, floor_share=0.2, dimensions=4):
    """Return a world whose logging policy is mixed with *floor_share* of the uniform one."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((kinds, dimensions))
    mean = 1.0 / (1.0 + np.exp(-features @ rng.standard_normal((dimensions, models)) - 0.5))
    logging = (1.0 - floor_share) * softmax(heat * rng.standard_normal((kinds, models))) + floor_share / models
    target = softmax(2.0 * heat * rng.standard_normal((kinds, models)) + 3.0 * mean)
    return World(features, mean, logging, target, floor_share / models)


def softmax(x):
    """Row-wise."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def draw(world, n, rng, *, logged=None, with_floor=True):
    """Return a log of n rounds and the target's pmf in them.

    *logged* (M, K), if given, is what is written down as the pmf in place of the one that was drawn from.
    """
    kind = rng.integers(0, world.mean.shape[0], n)
    cdf = np.cumsum(world.logging[kind], axis=1)
    action = np.minimum((rng.random(n)[:, None] >= cdf).sum(axis=1), world.mean.shape[1] - 1)
    reward = (rng.random(n) < world.mean[kind, action]).astype(float)
    pmf = (world.logging if logged is None else logged)[kind]
    log = LoggedRounds(
        action=action,
        reward=reward,
        propensity=pmf[np.arange(n), action],
        model_ids=[f"m{k}" for k in range(world.mean.shape[1])],
        context=world.features[kind],
        pmf=pmf,
        category=kind,
        floor=world.floor if with_floor and logged is None else None,
    )
    return log, world.target[kind]


def wrong_propensities(world):
    """Return a pmf (M, K) that was not drawn from: the right one flattened, as a stale or smoothed pmf would be."""
    flat = np.sqrt(world.logging)
    return flat / flat.sum(axis=1, keepdims=True)


def averages_to(estimates, truth):
    """Whether independent estimates average to the truth within 4 standard errors."""
    estimates = np.asarray(estimates)
    error = estimates.std(ddof=1) / np.sqrt(estimates.size)
    return abs(estimates.mean() - truth) <= 4.0 * error


def adaptive_logs(runs, rounds, *, seed, models=3, epsilon=0.3):
    """Return epsilon-greedy logs that learn as they go, many at once.

    Three kinds of prompt, known means; the greedy model is the one with the best mean so far for the kind. Returned:
    reward, action (runs, rounds), pmf, target, q (runs, rounds, K), and the target's value.
    q is the running mean so far: predictable, and adaptive like the log.
    """
    rng = np.random.default_rng(seed)
    kinds = 3
    mean = rng.uniform(0.1, 0.9, (kinds, models))
    target_by_kind = softmax(2.0 * rng.standard_normal((kinds, models)))
    kind = rng.integers(0, kinds, (runs, rounds))
    count = np.zeros((runs, kinds, models))
    total = np.zeros((runs, kinds, models))
    rows = np.arange(runs)
    shape = (runs, rounds, models)
    pmf, q = np.empty(shape), np.empty(shape)
    reward, action = np.empty((runs, rounds)), np.empty((runs, rounds), dtype=np.int64)
    for t in range(rounds):
        now = kind[:, t]
        believed = (total[rows, now] + 0.5) / (count[rows, now] + 1.0)
        q[:, t] = believed
        p = np.full((runs, models), epsilon / models)
        p[rows, np.argmax(believed, axis=1)] += 1.0 - epsilon
        drawn = np.minimum((rng.random(runs)[:, None] >= np.cumsum(p, axis=1)).sum(axis=1), models - 1)
        r = (rng.random(runs) < mean[now, drawn]).astype(float)
        count[rows, now, drawn] += 1.0
        total[rows, now, drawn] += r
        pmf[:, t], action[:, t], reward[:, t] = p, drawn, r
    truth = float((target_by_kind * mean).sum(axis=1).mean())
    return reward, action, pmf, target_by_kind[kind], q, truth
