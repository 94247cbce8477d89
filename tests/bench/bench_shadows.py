"""Shadows: how often the rule promotes one, and after how many decisions, in a world whose truth is known.

    python tests/bench/bench_shadows.py            120 runs per case, some minutes on one core
    python tests/bench/bench_shadows.py --runs 24 --decisions 20000

Each run has its own world: 4 models whose quality is linear in 8 features, answers good or bad (the noisiest outcome
there is), a live policy that draws by softmax (temperature 0.1) from beliefs with errors and has the default floor,
and a shadow that agrees with it on four prompts in five: its errors are other ones, half as large, and its own
temperature is set so that its true value differs by exactly what the case says. Promotion is looked for after every
single decision; margin 0, no guards. `equal (copy)` is the live policy itself, of which no number of decisions says
anything.
"""

import argparse
import math
import platform
import sys
import time

import numpy as np

from banditd.domain.decision import Choice, DecisionSource, Objective
from banditd.domain.outcome import Lesson
from banditd.evaluation import Account
from banditd_sim.metrics.seeds import seed_mean

MODELS, FEATURES, PROMPTS = 4, 8, 4000
FLOOR = 0.005
LIVE_TEMPERATURE = 0.1
BELIEF_ERROR = 0.06
CASES = {"better by 0.01": 0.01, "equal": 0.0, "equal (copy)": None, "worse by 0.01": -0.01}


def soften(utility, temperature):
    """Return a softmax with the floor mixed in, a row per prompt."""
    weights = np.exp((utility - utility.max(axis=1, keepdims=True)) / temperature)
    return (1 - FLOOR) * weights / weights.sum(axis=1, keepdims=True) + FLOOR / utility.shape[1]


def make_world(seed, difference):
    """Return true qualities, the live policy's beliefs, its pmfs and the shadow's: arrays (PROMPTS, MODELS)."""
    rng = np.random.default_rng([seed, 5])
    x = rng.normal(size=(PROMPTS, FEATURES)) / math.sqrt(FEATURES)
    level = 0.7 + 0.03 * rng.normal(size=MODELS)
    truth = np.clip(level + x @ rng.normal(size=(FEATURES, MODELS)) * 0.2, 0.02, 0.98)
    believed = truth + x @ rng.normal(size=(FEATURES, MODELS)) * BELIEF_ERROR
    better = truth + x @ rng.normal(size=(FEATURES, MODELS)) * BELIEF_ERROR / 2
    live = soften(believed, LIVE_TEMPERATURE)
    if difference is None:
        return truth, believed, live, live
    target = (live * truth).sum(axis=1).mean() + difference
    # The hotter, the worse.
    low, high = math.log(0.005), math.log(5.0)
    for _ in range(50):
        middle = (low + high) / 2
        if (soften(better, math.exp(middle)) * truth).sum(axis=1).mean() > target:
            low = middle
        else:
            high = middle
    shadow = soften(better, math.exp(low))
    assert abs((shadow * truth).sum(axis=1).mean() - target) < 1e-6
    return truth, believed, live, shadow


def run(seed, difference, decisions):
    """Return after how many decisions the shadow is promoted, None for never, and the interval's ends at the end."""
    truth, believed, live, shadow = make_world(seed, difference)
    rng = np.random.default_rng([seed, 6])
    prompts = rng.integers(PROMPTS, size=decisions)
    drawn = (live.cumsum(axis=1)[prompts] < rng.random(decisions)[:, None]).sum(axis=1).clip(max=MODELS - 1)
    answers = (rng.random(decisions) < truth[prompts, drawn]).astype(float)
    account, objective = Account(), Objective()
    exclusions = np.zeros(MODELS, np.uint8)
    expected = np.full((PROMPTS, 3, MODELS), np.nan, np.float32)
    expected[:, 0] = believed
    promoted = None
    for t in range(decisions):
        i = prompts[t]
        choice = Choice(int(drawn[t]), live[i], exclusions, expected[i], DecisionSource.POLICY)
        account.note(t + 1, choice, shadow[i], objective)
        account.settle(t + 1, Lesson(quality=answers[t]), objective)
        if promoted is None and account.exceeds(0.0):
            promoted = t + 1
    return promoted, account.figures()


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=120)
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}; {options.runs} runs")
    for name, difference in CASES.items():
        started = time.perf_counter()
        results = [run(options.first + i, difference, options.decisions) for i in range(options.runs)]
        after = [promoted for promoted, _ in results if promoted is not None]
        truth = 0.0 if difference is None else difference
        held = np.mean([figures.low <= truth <= figures.high for _, figures in results])
        overlap = seed_mean([figures.overlap for _, figures in results])
        width = seed_mean([(figures.high - figures.low) / 2 for _, figures in results])
        quantiles = "-" if not after else "/".join(f"{q:,.0f}" for q in np.quantile(after, [0.1, 0.5, 0.9]))
        seconds = (time.perf_counter() - started) / options.runs / options.decisions * 1e6
        print(
            f"{name:15} promoted {len(after)}/{options.runs}, after {quantiles} decisions (10/50/90 %); "
            f"last interval +- {width.mean:.4f}, holds the truth in {100 * held:.0f} %; overlap {overlap.mean:.2f}; "
            f"{seconds:.0f} us per decision"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
