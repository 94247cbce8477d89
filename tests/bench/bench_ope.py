"""Off-policy evaluation of a million rounds (10 models, 32 features): python tests/bench/bench_ope.py [rounds].

Prints a table of seconds and memory, with machine and versions. Nothing is asserted.
"""

import os
import platform
import resource
import sys
import time

import numpy as np
import scipy

from banditd_sim.ope import DEFAULT_ESTIMATORS, LoggedRounds, evaluate

MODELS, FEATURES = 10, 32


def make(rounds):
    """Return arrays of a log and a target's pmf."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rounds, FEATURES)).astype(np.float32) / np.float32(np.sqrt(FEATURES))
    theta = rng.standard_normal((FEATURES, MODELS)).astype(np.float32)
    score = x @ theta
    pmf = np.exp(score, dtype=np.float64)
    pmf = 0.9 * pmf / pmf.sum(axis=1, keepdims=True) + 0.1 / MODELS
    target = np.exp(3.0 * (score + 0.3 * rng.standard_normal(MODELS)))
    target /= target.sum(axis=1, keepdims=True)
    action = np.minimum((rng.random(rounds)[:, None] >= np.cumsum(pmf, axis=1)).sum(axis=1), MODELS - 1)
    rows = np.arange(rounds)
    reward = (rng.random(rounds) < 1.0 / (1.0 + np.exp(-score[rows, action]))).astype(np.float64)
    return {
        "action": action,
        "reward": reward,
        "propensity": pmf[rows, action],
        "model_ids": [f"m{k}" for k in range(MODELS)],
        "context": x,
        "pmf": pmf,
        "floor": 0.1 / MODELS,
    }, target


def main():
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    columns, target = make(rounds)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}")
    print(f"{rounds:,} rounds, {MODELS} models, {FEATURES} features")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    log = LoggedRounds(**columns)
    print(f"{'check the log':48} {time.perf_counter() - start:7.2f} s")
    for name, estimators, intervals in (
        ("ips, normal", ("ips",), ("normal",)),
        ("dr, normal", ("dr",), ("normal",)),
        ("8 estimators, normal", DEFAULT_ESTIMATORS, ("normal",)),
        ("8 estimators, normal and bootstrap (1,000)", DEFAULT_ESTIMATORS, ("normal", "bootstrap")),
        (
            "8 estimators, all 4 intervals",
            DEFAULT_ESTIMATORS,
            ("normal", "bootstrap", "empirical_bernstein", "confidence_sequence"),
        ),
    ):
        start = time.perf_counter()
        evaluate(log, target, estimators, intervals)
        print(f"{name:48} {time.perf_counter() - start:7.2f} s")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'largest memory: log and target, then at work':48} {before:7.0f} MB {after:7.0f} MB")


if __name__ == "__main__":
    main()
