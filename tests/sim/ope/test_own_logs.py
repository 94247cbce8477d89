"""Off-policy evaluation on logs that banditd wrote itself, about policies that it did not run, against the truth.

The router decides, learns and logs on a table that knows every outcome; prompts are drawn with replacement, so that a
policy's true value is its mean over the table. The log holds one outcome per round; dr gives an interval per target.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.routing.choose import Terms, choose_rows
from banditd_sim.datasets import load_banditd, open_dataset, write_banditd
from banditd_sim.environments.arena import arena_of
from banditd_sim.environments.replay import LearningRouter, replay
from banditd_sim.environments.router import RouterPolicy
from banditd_sim.environments.scenario import Scenario
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World
from banditd_sim.ope import LoggedRounds, Settings, SupportError, evaluate
from banditd_sim.ope.reward_model import cross_fitted_ridge
from tests.sim.ope.own_log import own_log

SHARED = Path(os.environ.get("BANDITD_SHARED_DIR", str(Path(__file__).resolve().parents[4] / "shared"))) / "data"
SETS = ("routerbench", "zeroeval", "routellm")
NONE = np.zeros(0, np.int64)
# Three tenths of the traffic explore: what somebody sets who wants to ask the log about other policies. A constant of
# K models then is seen in 0.3 / K of the rounds at least, so that more models need longer logs; with shorter ones,
# or with a floor of 0.1, most of the targets below are refused for too few effective rounds.
LOGGER = RouterPolicy("linucb", {"floor": 0.3})
ROUNDS = {"routellm": 2000, "routerbench": 6000, "zeroeval": 8000}
RUNS = {"routellm": 100, "routerbench": 150, "zeroeval": 40}
CONTEXT = 8

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data")


@dataclass
class Bench:
    """A table, its targets as pmfs of each of its rows, and what these are truly worth."""

    arena: object
    context: np.ndarray
    targets: dict
    truth: dict


def bench_of(name):
    """Return a set's prompts with all outcomes, and five policies that were never the logging one."""
    arena = arena_of(open_dataset(SHARED / name).data)
    whole = np.flatnonzero(arena.measured.all(axis=1))
    embeddings = arena.embeddings[whole].astype(np.float64)
    embeddings -= embeddings.mean(axis=0)
    context = np.zeros((len(arena.embeddings), CONTEXT), np.float32)
    context[whole] = embeddings @ np.linalg.svd(embeddings, full_matrices=False)[2][:CONTEXT].T
    quality, models = arena.quality[whole], len(arena.models)
    # Targets are made on a third of the prompts, which the log may hold as well.
    known = whole[np.random.default_rng(0).permutation(len(whole))[: len(whole) // 3]]
    means = arena.quality[known].mean(axis=0)
    table = np.array(
        [
            arena.quality[known[arena.category[known] == c]].mean(axis=0).argmax()
            if (arena.category[known] == c).any()
            else means.argmax()
            for c in range(len(arena.categories))
        ]
    )
    targets = {
        "uniform": np.full((len(whole), models), 1.0 / models),
        "constant, the second best": np.tile(np.eye(models)[np.argsort(-means)[1]], (len(whole), 1)),
        "category table": np.eye(models)[table[arena.category[whole]]],
        "softmax, learnt elsewhere": frozen(arena, known, whole, RouterPolicy("softmax", {"temperature": 0.1})),
        "squarecb, learnt elsewhere": frozen(arena, known, whole, RouterPolicy("squarecb")),
    }
    of_rows, truth = {}, {}
    for target, pmf in targets.items():
        of_rows[target] = np.zeros((len(arena.embeddings), models))
        of_rows[target][whole] = pmf
        truth[target] = float((pmf * quality).sum(axis=1).mean())
    return Bench(arena, context, of_rows, truth), whole


def frozen(arena, known, rows, policy):
    """Return the pmfs (m, K) of a router that learnt from *known* with one outcome each and learns no more."""
    scenario = timeline(Scenario(), arena, known)
    router = LearningRouter(arena, scenario, policy, None, 1)
    replay(World(arena, scenario, NONE, known, 1), router)
    contexts = [Context(arena.embeddings[row], int(arena.tokens[row])) for row in rows]
    snapshot = router.engine.ready_snapshot()
    choices = choose_rows(snapshot, contexts, Terms(Objective(0.0, 0.0)), [0.0] * len(rows))
    pmf = np.zeros((len(rows), len(arena.models)))
    pmf[:, router.model_of] = [choice.pmf for choice in choices]
    return pmf


def log_of(bench, whole, seed, rounds):
    """Return a log that banditd writes on prompts drawn with replacement, and their rows."""
    arena = bench.arena
    rows = whole[np.random.default_rng([seed, 7]).integers(0, len(whole), rounds)]
    scenario = timeline(Scenario(), arena, rows)
    world = World(arena, scenario, NONE, rows, seed)
    router = LearningRouter(arena, scenario, LOGGER, None, seed)
    played = replay(world, router)
    floor = LOGGER.parameters["floor"] / len(arena.models)
    return own_log(world, router, played, context=bench.context, floor=floor), played.row


def covered(bench, log, rows, seed):
    """Return per target whether dr's interval holds the truth, its width, and the error; None where refused."""
    settings = Settings(reward_model=cross_fitted_ridge(log, seed=seed))
    found = {}
    for target, pmf in bench.targets.items():
        try:
            (one,) = evaluate(log, pmf[rows], ["dr"], seed=seed, settings=settings)
        except SupportError:
            found[target] = None
            continue
        truth = bench.truth[target]
        found[target] = (one.low <= truth <= one.high, one.high - one.low, one.value - truth)
    return found


def coverage(name, runs, rounds):
    """Return {target: list of results}."""
    bench, whole = bench_of(name)
    results = {target: [] for target in bench.targets}
    for seed in range(runs):
        log, rows = log_of(bench, whole, seed, rounds)
        for target, one in covered(bench, log, rows, seed).items():
            results[target].append(one)
    return results, bench


def share(results):
    """Return the share of all runs and targets whose interval holds the truth; a refusal is no interval."""
    said = [one[0] for target in results.values() for one in target if one is not None]
    return sum(said) / len(said), len(said)


def table_of(name, results, bench):
    """Return lines that tell a set's figures."""
    lines = []
    for target, ones in results.items():
        given = [one for one in ones if one is not None] or [(np.nan, np.nan, np.nan)]
        lines.append(
            f"{name:12} {target:28} truth {bench.truth[target]:.4f}  covered {np.mean([o[0] for o in given]):6.1%} "
            f"of {len(ones)} ({ones.count(None)} refused)  mean error {np.mean([o[2] for o in given]):+.4f}  "
            f"mean width {np.mean([o[1] for o in given]):.4f}"
        )
    return lines


def test_intervals_hold_the_truth_of_five_other_policies():
    """A few runs on two models; the figures of three sets are the long test's."""
    results, _ = coverage("routellm", 8, 800)
    reached, count = share(results)
    assert count == 40
    assert reached >= 0.85


@pytest.mark.long
@pytest.mark.parametrize("name", SETS)
def test_coverage_on_three_sets(name):
    """In at least 93 % of runs."""
    results, bench = coverage(name, RUNS[name], ROUNDS[name])
    print("\n".join(table_of(name, results, bench)))
    reached, count = share(results)
    assert count >= 0.9 * 5 * RUNS[name]
    assert reached >= 0.93


def test_with_wrong_propensities_the_intervals_miss():
    """A log that claims to have drawn uniformly: the test above can fail."""
    bench, whole = bench_of("routellm")
    hits = []
    for seed in range(4):
        log, rows = log_of(bench, whole, seed, 800)
        lie = LoggedRounds(log.action, log.reward, np.full(800, 0.5), log.model_ids, log.context)
        settings = Settings(reward_model=np.full(log.pmf.shape, 0.5), limits=None)
        for target, pmf in bench.targets.items():
            (one,) = evaluate(lie, pmf[rows], ["dr"], seed=seed, settings=settings)
            hits.append(one.low <= bench.truth[target] <= one.high)
    assert np.mean(hits) < 0.7


def test_the_same_answer_from_the_exported_files(tmp_path):
    """Written as `banditd export` would and read back: the same interval."""
    bench, whole = bench_of("routellm")
    log, rows = log_of(bench, whole, 0, 400)
    write_banditd(log, tmp_path / "export")
    read = load_banditd(tmp_path / "export", floor=log.floor).rounds
    order = [read.model_ids.index(model_id) for model_id in log.model_ids]
    for target, pmf in bench.targets.items():
        (one,) = evaluate(log, pmf[rows], ["ips"], ["normal"], 0)
        (other,) = evaluate(read, pmf[rows][:, np.argsort(order)], ["ips"], ["normal"], 0)
        assert other.value == pytest.approx(one.value, rel=1e-6), target
        assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=1e-6)


if __name__ == "__main__":
    for one_set in sys.argv[1:] or SETS:
        found, its = coverage(one_set, RUNS[one_set], ROUNDS[one_set])
        print("\n".join(table_of(one_set, found, its)))
        print(f"{one_set:12} covered {share(found)[0]:.1%} of {share(found)[1]}", flush=True)
