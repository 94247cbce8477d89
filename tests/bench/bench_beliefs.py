"""Speed of the neighbours and of Vowpal Wabbit, beside NumPy and the bare library: python tests/bench/bench_beliefs.py.

Ratios are of one run, measured in turns; the best of many is taken, which a shared machine disturbs least. Nothing is
asserted.
"""

import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import vowpal_wabbit_next as vw

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.fit import seeded_spec
from banditd.features.spec import FeatureKind
from banditd.policies.base import Question
from banditd.policies.beliefs.knn import KnnBelief, direction
from banditd.policies.registry import resolve
from banditd.policies.vowpal import feature_index
from banditd.routing.choose import Terms
from banditd_sim.environments.engine import Engine

MODELS, WIDTH, ROWS = 10, 64, 50_000


def best_us(*calls, repeats=40, times=1):
    """Return microseconds per call of each, measured in turns: the best of several."""
    found = [float("inf")] * len(calls)
    for _ in range(repeats):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            for _ in range(times):
                call()
            found[i] = min(found[i], (time.perf_counter() - start) / times)
    return [1e6 * seconds for seconds in found]


def neighbours(count, model_count=MODELS):
    """Measure a prediction from 50,000 rows of 64 values, over all models, beside NumPy."""
    policy = resolve(PolicySpec("knn", {"neighbours": float(count)}))
    belief = KnnBelief(policy, seeded_spec(FeatureKind.LINEAR, WIDTH, 1), 0.5)
    models = tuple(ModelSpec(k, f"m{k}") for k in range(model_count))
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((ROWS, WIDTH + 2)).astype(np.float32)
    quality = rng.random(ROWS).astype(np.float32)
    belief._weigh_evidence = lambda *_: None  # what is learnt does not matter here, and this takes minutes
    for i in range(ROWS):
        belief.learn(models[i % model_count], rows[i], Lesson(quality=float(quality[i])))
    snapshot = belief.freeze(models)
    half = np.stack([direction(row, row.size - 2) for row in rows])
    single, query = half.astype(np.float32), rows[7]
    x = direction(query, query.size - 2).astype(np.float32)

    def numpy_way(rows_of):
        similarity = rows_of().astype(np.float32, copy=False) @ x
        for k in range(model_count):
            own = similarity[k::model_count]
            near = np.argpartition(-own, count)[:count]
            weight = np.maximum(own[near], 0.0) ** 2
            weight @ quality[k::model_count][near] / weight.sum()

    ours, twin, twin32 = best_us(
        lambda: snapshot.predict(query), lambda: numpy_way(lambda: half), lambda: numpy_way(lambda: single), times=5
    )
    swept, _ = best_us(lambda: snapshot.predict(query), lambda: half.astype(np.float32))
    print(f"knn, {ROWS} rows of {WIDTH}, {model_count} models, {count} neighbours each: {ours / 1e3:.2f} ms, "
          f"after the caches were swept {swept / 1e3:.2f} ms")  # fmt: skip
    print(f"  NumPy on the same float16 rows {twin / 1e3:.2f} ms, ratio {ours / twin:.3f}")
    print(f"  NumPy on float32 copies (twice the memory) {twin32 / 1e3:.2f} ms, ratio {ours / twin32:.3f}")


def vowpal(preset, line):
    """Measure the probabilities of one prompt beside predict_one of the bare library on the same examples."""
    router = RouterSpec("r", PolicySpec(preset, {}, {"command_line": line}), embedding_dimension=WIDTH)
    engine = Engine(router, tuple(ModelSpec(k, f"m{k}") for k in range(MODELS)), 1)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, WIDTH))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)
    for prompt in x:
        position, decision = engine.route(prompt, Terms(Objective()))
        engine.learn(position, decision, Lesson(quality=float(rng.random())))
    snapshot = engine.snapshot.routers["r"].belief
    stored = engine.state.routers["r"].belief._current().serialize()
    bare = vw.Workspace(["--quiet"], model_data=stored)
    indices = np.array([feature_index("s", str(i)) for i in range(WIDTH)], np.uint64)
    actions = []
    for k in range(MODELS):
        action = vw.Example()
        action["a"].push_feature(feature_index("a", f"m{k}"), 1.0)
        action.set_label(vw.CBLabel())
        actions.append(action)

    def by_hand():
        shared = vw.Example()
        shared["s"].push_many_features(indices, x[0].astype(np.float32))
        shared.set_label(vw.CBLabel(shared=True))
        return bare.predict_one([shared, *actions])

    context, eligible, pmf = Context(x[0]), np.ones(MODELS, np.bool_), np.empty(MODELS)
    question = Question(context, None, np.zeros((4, MODELS)), None, Objective())
    ours, theirs = best_us(lambda: snapshot.fill_pmf(question, eligible, pmf), by_hand, repeats=60, times=50)
    print(f"{preset}, {WIDTH} values, {MODELS} models: {ours:.0f} us, bare library {theirs:.0f} us, "
          f"ratio {ours / theirs:.2f}")  # fmt: skip


def main():
    """Measure and print."""
    print(f"Python {sys.version.split()[0]}, numpy {np.__version__}, vw {version('vowpal-wabbit-next')}")
    neighbours(192, 1)
    for count in (48, 128, 192):
        neighbours(count)
    vowpal("vowpal_squarecb", "--cb_explore_adf --squarecb --gamma_scale 100")
    vowpal("vowpal_bag", "--cb_explore_adf --bag 5 --clip_p 0.1")


if __name__ == "__main__":
    main()
