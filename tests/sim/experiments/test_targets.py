"""Targets: what each form of name gives on a log, and what is refused."""

import csv
import json
import sys
import types

import numpy as np
import pytest

from banditd_sim.environments.errors import SimError
from banditd_sim.experiments.evaluation import evaluate_targets
from banditd_sim.experiments.targets import recorded_snapshot, snapshot_target, target_pmf
from banditd_sim.ope import LogError, LoggedRounds
from tests.sim.environments.live_log import remake_directory

D, K = 6, 3


def make_log(n=600, seed=0, epsilon=0.5, **rest):
    """Return a log of an epsilon-greedy policy on a linear world, and the mean rewards (n, K)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, D)).astype(np.float16).astype(np.float32)
    theta = 0.15 * rng.standard_normal((D, K))
    mean = np.clip(0.5 + x @ theta, 0.05, 0.95)
    pmf = np.full((n, K), epsilon / K)
    pmf[np.arange(n), rng.integers(0, K, n)] += 1.0 - epsilon
    action = (rng.random(n)[:, None] >= np.cumsum(pmf, axis=1)).sum(axis=1).clip(max=K - 1)
    rows = np.arange(n)
    reward = (rng.random(n) < mean[rows, action]).astype(float)
    columns = {
        "action": action,
        "reward": reward,
        "propensity": pmf[rows, action],
        "model_ids": ("a", "b", "c"),
        "context": x,
        "pmf": pmf,
        "category": np.arange(n) % 2,
        "floor": epsilon / K,
    }
    return LoggedRounds(**(columns | rest)), mean


def test_constant_uniform_and_category(tmp_path):
    """As pmfs; tables from JSON and CSV alike."""
    log, _ = make_log(8)
    assert target_pmf("constant:b", log).tolist() == [[0.0, 1.0, 0.0]] * 8
    assert target_pmf("uniform", log) == pytest.approx(np.full((8, 3), 1 / 3))
    (tmp_path / "t.json").write_text(json.dumps({"0": "a", "1": "c"}))
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("0", "a"), ("1", "c")])
    for name in ("t.json", "t.csv"):
        chosen = target_pmf(f"category:{tmp_path / name}", log).argmax(axis=1)
        assert chosen.tolist() == [0, 2] * 4


def test_categories_by_name(tmp_path):
    """As banditd's own logs have them; a prompt without a category is named too, and names that do not occur may be."""
    log, _ = make_log(8, category_names=("", "code, short"))
    (tmp_path / "t.json").write_text(json.dumps({"code, short": "a", "": "c", "elsewhere": "b"}))
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("", "c"), ("code, short", "a")])
    for name in ("t.json", "t.csv"):
        chosen = target_pmf(f"category:{tmp_path / name}", log).argmax(axis=1)
        assert chosen.tolist() == [2, 0] * 4
    (tmp_path / "t.json").write_text(json.dumps({"": "c", "0": "a"}))
    with pytest.raises(SimError, match="every category of the log, got none for 'code, short'"):
        target_pmf(f"category:{tmp_path / 't.json'}", log)


def test_category_names_belong_to_categories():
    """Distinct, as many as are counted, and with something to count."""
    for names, rest, reason in (
        (("x",), {}, "UNKNOWN_CATEGORY"),
        (("x", "x"), {}, "DUPLICATE_CATEGORY"),
        (("x", "y"), {"category": None}, "NO_CATEGORY"),
    ):
        with pytest.raises(LogError) as caught:
            make_log(6, category_names=names, **rest)
        assert caught.value.reason == reason


def test_a_preset_goes_through_the_log_and_learns_from_it():
    """It sees the past only: what comes later changes nothing before; in the end it has found the better models."""
    log, mean = make_log(1500, epsilon=1.0)
    pmf = target_pmf("linucb:alpha=1", log)
    assert pmf.sum(axis=1) == pytest.approx(np.ones(1500))
    reward = log.reward.copy()
    reward[900:] = 1.0 - reward[900:]
    other = target_pmf("linucb:alpha=1", make_log(1500, epsilon=1.0, reward=reward)[0])
    assert other[:901].tobytes() == pmf[:901].tobytes()
    assert other[901:].tobytes() != pmf[901:].tobytes()
    value = (pmf * mean).sum(axis=1)
    assert value[1000:].mean() > mean[1000:].mean() + 0.6 * (mean[1000:].max(axis=1) - mean[1000:].mean(axis=1)).mean()


def test_a_preset_keeps_to_the_eligible():
    """Where b was not eligible, no target plays it."""
    eligible = np.ones((200, K), np.bool_)
    eligible[::2, 1] = False
    log, _ = make_log(200)
    pmf = np.where(eligible, 1.0, 0.0)
    pmf /= pmf.sum(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    action = np.where(eligible[:, 1], rng.integers(0, 3, 200), 2 * rng.integers(0, 2, 200))
    propensity = pmf[np.arange(200), action]
    log = LoggedRounds(action, log.reward, propensity, log.model_ids, log.context, pmf, eligible)
    for spec in ("softmax", "uniform"):
        assert (target_pmf(spec, log)[::2, 1] == 0.0).all()


def test_a_function_gives_any_pmf(monkeypatch):
    """It gets the log; what it returns is checked like any other target."""
    module = types.ModuleType("my_targets")
    module.second = lambda log: np.tile([0.0, 1.0, 0.0], (len(log), 1))
    module.half = lambda log: np.tile([0.0, 0.5, 0.0], (len(log), 1))
    monkeypatch.setitem(sys.modules, "my_targets", module)
    log, _ = make_log(300)
    assert target_pmf("my_targets:second", log).tolist() == [[0.0, 1.0, 0.0]] * 300
    with pytest.raises(LogError, match="a sum of 1"):
        evaluate_targets("log", log, ["my_targets:half"])


async def test_a_recorded_snapshot_does_what_the_server_would_have_done(tmp_path):
    """On the contexts of the log's last decisions, its pmfs are the logged ones, to the bit."""
    from tests.server.harness import config_for, running

    async with running(config_for(tmp_path / "data")) as server:
        for k, model_id in enumerate("abc"):
            await server.add_model(model_id, price=(1.0 + k, 2.0))
        for seed in range(40):
            answer = await server.route(seed)
            await server.record(answer.decision_id, quality=(seed % 3) / 2)
        for seed in range(100, 110):
            await server.route(seed)
    last = list(remake_directory(tmp_path / "data"))[-10:]
    context = np.stack([one.decision.context.embedding for one in last]).astype(np.float32)
    log = LoggedRounds([0] * 10, [0.5] * 10, [0.5] * 10, ("a", "b", "c"), context)
    for spec in (f"snapshot:{tmp_path / 'data'}", f"snapshot:{tmp_path / 'data'}@{last[0].position}"):
        pmf = target_pmf(spec, log)
        assert [row.tobytes() for row in pmf] == [one.decision.choice.pmf.tobytes() for one in last]
    early = recorded_snapshot(tmp_path / "data", last[0].position - 60)
    assert snapshot_target(log, early).tobytes() != pmf.tobytes()
    turned = LoggedRounds([0] * 10, [0.5] * 10, [0.5] * 10, ("c", "x", "a"), context)
    assert (target_pmf(f"snapshot:{tmp_path / 'data'}", turned)[:, 1] == 0.0).all()


@pytest.mark.parametrize(
    "spec",
    ["nobody", "constant:", "no_such_module:f", "json:nope", "snapshot:/nowhere", "category:/nowhere", "linucb:x=1"],
)
def test_what_cannot_be_a_target_is_refused(spec):
    """With the forms that can, or with what is wrong."""
    with pytest.raises(SimError):
        target_pmf(spec, make_log(5)[0])


def test_an_unknown_model_and_a_hole_in_a_table_are_refused(tmp_path):
    """By name."""
    log, _ = make_log(6)
    with pytest.raises(LogError, match="'z'"):
        target_pmf("constant:z", log)
    (tmp_path / "t.json").write_text(json.dumps({"0": "a", "2": "c"}))
    with pytest.raises(SimError, match="every category"):
        target_pmf(f"category:{tmp_path / 't.json'}", log)
    (tmp_path / "t.json").write_text(json.dumps({"0": "z"}))
    with pytest.raises(SimError, match="'z'"):
        target_pmf(f"category:{tmp_path / 't.json'}", log)


def test_a_log_without_contexts_cannot_serve_a_preset():
    """There is nothing to decide by."""
    with pytest.raises(SimError, match="contexts"):
        target_pmf("linucb", make_log(6, context=None)[0])


def test_a_target_without_support_is_refused_and_the_others_go_on():
    """The log never plays c."""
    log, _ = make_log(600)
    pmf = np.tile([0.5, 0.5, 0.0], (600, 1))
    action = np.arange(600) % 2
    log = LoggedRounds(action, log.reward, np.full(600, 0.5), log.model_ids, log.context, pmf)
    summary = evaluate_targets("log", log, ["constant:c", "constant:a"])
    refused, answered = summary.targets
    assert refused.refusal_reason
    assert "support" in refused.refusal or "mass" in refused.refusal
    assert refused.unsupported_mass == 1.0
    assert not answered.refusal
    assert {row.target for row in summary.rows} == {"logged", "constant:a"}


def test_estimates_cover_the_truth_of_the_world():
    """Doubly robust, of a constant and of a preset, within 4 standard errors of their true values."""
    log, mean = make_log(4000, epsilon=1.0)
    summary = evaluate_targets("log", log, ["constant:a", "softmax"], estimators=("dr",))
    truth = {
        "constant:a": mean[:, 0].mean(),
        "softmax": (target_pmf("softmax", log) * mean).sum(axis=1).mean(),
        "logged": mean.mean(),
    }
    for row in summary.rows:
        assert row.value == pytest.approx(truth[row.target], abs=4 * row.standard_error)


def test_a_preset_is_replayed_by_rejection():
    """A uniform log of two models, each the better one for half of the contexts: what is learnt shows in the value."""
    rng = np.random.default_rng(0)
    n = 3000
    x = rng.standard_normal((n, 4)).astype(np.float32)
    action = rng.integers(0, 2, n)
    mean = np.where((x[:, 0] > 0.0) == (action == 0), 0.8, 0.2)
    log = LoggedRounds(action, (rng.random(n) < mean).astype(float), np.full(n, 0.5), ("a", "b"), x)
    summary = evaluate_targets("log", log, ["replay:linucb", "replay:uniform"])
    rows = {row.target: row for row in summary.rows}
    assert [row.estimator for row in summary.rows] == ["mean", "replay", "replay"]
    assert rows["replay:uniform"].low <= 0.5 <= rows["replay:uniform"].high
    assert rows["replay:linucb"].low > 0.6
    assert {about.target: about.ess for about in summary.targets}["replay:linucb"] == pytest.approx(n / 2, abs=120)


def test_a_replay_of_too_few_rounds_is_refused():
    """Forty rounds of three models are thirteen that agree; another target is answered."""
    log, _ = make_log(40, epsilon=1.0)
    summary = evaluate_targets("log", log, ["replay:linucb", "uniform"], estimators=("ips",))
    refused, answered = summary.targets
    assert refused.refusal_reason == "NO_SUPPORT"
    assert "at least 30 rounds" in refused.refusal
    assert not answered.refusal
    with pytest.raises(SimError, match="target: expected one of"):
        evaluate_targets("log", log, ["replay:nobody"])
