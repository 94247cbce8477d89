"""RouteLLM's metrics against its published way of computing, on its own outcomes."""

import json

import numpy as np
import pytest

from banditd_sim.metrics import Curve, MetricError, apgr, cpt, pgr, threshold_curve


def published(score, strong, weak, bins=10):
    """APGR and calls at 20, 50 and 80 % quality, step by step as in RouteLLM's evaluation, in its units (percent).

    Written again from its description: quantile thresholds with both ends, >= but at the last one >, accuracy in
    percent, areas over the share of strong calls, and one plain interpolation of calls over accuracy.
    """
    edges = np.quantile(score, [i / bins for i in range(bins + 1)])
    rows = []
    for i, edge in enumerate(edges):
        to_strong = [s >= edge if i < bins else s > edge for s in score]
        right = sum(a if chosen else b for chosen, a, b in zip(to_strong, strong, weak, strict=True))
        rows.append((sum(to_strong) / len(score) * 100, right / len(score) * 100))
    rows.sort()
    share, accuracy = np.array(rows).T
    weak_accuracy, strong_accuracy = sum(weak) / len(weak) * 100, sum(strong) / len(strong) * 100
    area = sum((share[i + 1] - share[i]) / 100 * (accuracy[i] + accuracy[i + 1]) / 2 for i in range(len(share) - 1))
    span = (share[-1] - share[0]) / 100
    quality = (area - weak_accuracy * span) / (strong_accuracy * span - weak_accuracy * span)
    gap = strong_accuracy - weak_accuracy
    calls = [float(np.interp(x * gap + weak_accuracy, accuracy, share)) for x in (0.2, 0.5, 0.8)]
    return quality, calls


def test_by_hand():
    """Four prompts, the strong model right on all, the weak one on the last two; a perfect score."""
    curve = threshold_curve([0.9, 0.8, 0.2, 0.1], [1, 1, 1, 1], [0, 0, 1, 1], bins=2)
    assert curve.strong_share.tolist() == [0.0, 0.5, 1.0]
    assert curve.quality.tolist() == [0.5, 1.0, 1.0]
    assert pgr(curve).tolist() == [0.0, 1.0, 1.0]
    assert apgr(curve) == pytest.approx(0.75)
    assert cpt(curve, 0.5) == pytest.approx(0.25)


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_published_computation_on_synthetic_scores(seed):
    """Monotone or not."""
    rng = np.random.default_rng(seed)
    strong, weak = (rng.random(500) < 0.8).astype(float), (rng.random(500) < 0.6).astype(float)
    score = rng.random(500) + 0.3 * (strong - weak)
    curve = threshold_curve(score, strong, weak)
    quality, calls = published(score.tolist(), strong.tolist(), weak.tolist())
    assert apgr(curve) == pytest.approx(quality, rel=1e-12)
    assert [100 * cpt(curve, x) for x in (0.2, 0.5, 0.8)] == pytest.approx(calls, rel=1e-12)


def test_equals_the_published_computation_on_its_own_outcomes(shared_dir):
    """GPT-4 and Mixtral on MMLU and GSM8K, scored at random, by prompt length, and by the outcome itself."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="reads Parquet with pyarrow")
    folder = shared_dir / "data" / "routellm"
    if not folder.is_dir():
        pytest.skip(f"needs the data set {folder.name}, which is not in the shared folder")
    prompts = parquet.read_table(folder / "prompts.parquet").to_pydict()
    outcomes = parquet.read_table(folder / "outcomes.parquet").to_pydict()
    quality = {}
    for prompt, model, value in zip(outcomes["prompt_id"], outcomes["model"], outcomes["quality"], strict=True):
        quality.setdefault(model, {})[prompt] = value
    strong_id = next(m for m in quality if m.startswith("gpt-4"))
    weak_id = next(m for m in quality if m != strong_id)
    ids = prompts["prompt_id"]
    strong, weak = (np.array([quality[m][i] for i in ids]) for m in (strong_id, weak_id))
    published_means = json.loads((folder.parent / "figures.json").read_text())["routellm"]["per_model"]
    assert strong.mean() == pytest.approx(published_means[0]["quality"], abs=1e-6)
    rng = np.random.default_rng(0)
    noise = rng.random(len(ids))
    scores = {
        "random": noise,
        "length": np.array([len(text) for text in prompts["text"]]) + noise,
        "oracle": strong - weak + 0.5 * noise,
    }
    found = {}
    for name, score in scores.items():
        curve = threshold_curve(score, strong, weak)
        theirs, calls = published(score.tolist(), strong.tolist(), weak.tolist())
        assert apgr(curve) == pytest.approx(theirs, rel=1e-10), name
        assert [100 * cpt(curve, x) for x in (0.2, 0.5, 0.8)] == pytest.approx(calls, rel=1e-10), name
        found[name] = apgr(curve)
    assert found["random"] == pytest.approx(0.5, abs=0.03)
    assert found["oracle"] > 1.0


def test_thresholds_equal_pandas():
    """The quantiles are those of qcut, which the original calls."""
    pandas = pytest.importorskip("pandas", reason="compares with pandas.qcut")
    score = np.random.default_rng(0).random(997)
    _, edges = pandas.qcut(score, 10, retbins=True)
    curve = threshold_curve(score, np.ones(997), np.zeros(997))
    assert curve.quality[::-1] == pytest.approx(
        [(score >= e).mean() if i < 10 else (score > e).mean() for i, e in enumerate(edges)]
    )


def test_a_falling_curve_needs_the_running_maximum():
    """np.interp on a curve that falls is not what one wants; both are to be had, under their names."""
    curve = Curve(np.array([0.0, 0.25, 0.5, 1.0]), np.array([0.0, 0.8, 0.4, 1.0]), weak=0.0, strong=1.0)
    assert cpt(curve, 0.5, monotone=True) == pytest.approx(0.25 * 0.5 / 0.8)
    assert cpt(curve, 0.8, monotone=True) <= 0.5
    assert cpt(curve, 0.5) == pytest.approx(np.interp(0.5, curve.quality, curve.strong_share))


def test_refusals():
    """Too many equal scores, equal models, shares out of range."""
    with pytest.raises(MetricError, match="strong_win_rate: expected 11 distinct quantiles"):
        threshold_curve(np.ones(50), np.ones(50), np.zeros(50))
    same = threshold_curve(np.arange(50.0), np.ones(50), np.ones(50))
    with pytest.raises(MetricError, match="a strong model that differs"):
        apgr(same)
    good = threshold_curve(np.arange(50.0), np.ones(50), np.zeros(50))
    with pytest.raises(MetricError, match="share_recovered"):
        cpt(good, 50.0)
