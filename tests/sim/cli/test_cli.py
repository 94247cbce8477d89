"""The command line: two commands from nothing to a report, and one clear line where something is wrong."""

import json
import subprocess
import sys

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from banditd_sim.cli.main import commands
from banditd_sim.datasets import write_dsjson
from banditd_sim.environments.arena import arena_of
from banditd_sim.ope import LoggedRounds
from banditd_sim.report.ope_schema import OpeSummary
from banditd_sim.report.schema import Summary
from tests.sim.datasets.made import write_shared
from tests.sim.environments.worlds import learnable
from tests.sim.experiments.test_targets import make_log


def one_sided():
    """Return a log that never plays c."""
    log, _ = make_log(600)
    pmf = np.tile([0.5, 0.5, 0.0], (600, 1))
    return LoggedRounds(np.arange(600) % 2, log.reward, np.full(600, 0.5), log.model_ids, log.context, pmf)


def write_table(folder, table, *, embedded=True):
    """Write a table in the shared form."""
    rows = zip(table.prompt_ids, table.texts, table.category, table.split, strict=True)
    prompts = [{"prompt_id": i, "text": t, "category": c, "split": s or None} for i, t, c, s in rows]
    outcomes = [
        {"prompt_id": one, "model": model_id, "quality": float(quality), "cost_usd": float(cost)}
        for one, qualities, costs in zip(table.prompt_ids, table.quality, table.cost_usd, strict=True)
        for model_id, quality, cost in zip(table.model_ids, qualities, costs, strict=True)
    ]
    models = {
        model.model_id: {"input_usd_per_1m": model.input_mtok_usd, "output_usd_per_1m": model.output_mtok_usd}
        for model in table.models
    }
    write_shared(folder, prompts=prompts, outcomes=outcomes, comparisons=None, models=models, rows=table.embeddings)
    if not embedded:
        (folder / "embeddings.npy").unlink()


def votes(prompts=40):
    """Return comparisons as a file of Chatbot Arena: one pair per prompt, and the later letter wins."""
    pairs = [("a", "b"), ("c", "a"), ("b", "c")]
    lines = [f"question {i},{a},{b},model_{'a' if a > b else 'b'}" for i in range(prompts) for a, b in [pairs[i % 3]]]
    return "\n".join(["prompt,model_a,model_b,winner", *lines, ""])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of data: two tables, one without split and embeddings, comparisons, and two logs."""
    folder = tmp_path_factory.mktemp("data")
    write_table(folder / "toy", learnable(120, name="toy"))
    write_table(folder / "bare", learnable(60, name="bare", split=[""] * 60), embedded=False)
    write_dsjson(make_log(600)[0], folder / "log.dsjson")
    (folder / "votes.csv").write_text(votes())
    write_dsjson(one_sided(), folder / "one-sided.dsjson")
    return folder


@pytest.fixture
def call(monkeypatch, data, tmp_path):
    """Call the command line on data sets of our own; returns exit code, output and errors."""
    monkeypatch.setenv("BANDITD_DATA", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*args):
        result = CliRunner().invoke(commands, [str(arg) for arg in args], catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run


def test_run_writes_everything(call, tmp_path):
    """Data set, policies and seeds from the command line; `replay` is the same verb."""
    out = tmp_path / "out"
    args = ("toy", "--policy", "linucb", "--policy", "lin_thompson", "--warm-split", "train", "--split", "test")
    code, said, told = call("run", *args, "--seeds", 2, "--usd-weight", 1, "--out", out)
    assert code == 0, told
    summary = msgspec.json.decode((out / "summary.json").read_bytes(), type=Summary)
    assert {row.policy for row in summary.rows if row.kind == "policy"} == {"linucb", "lin_thompson"}
    assert {row.rounds for row in summary.rows} == {60}
    assert summary.differences[0].first == "linucb"
    for name in ("config.json", "summary.csv", "report.html", "curves.csv"):
        assert (out / name).stat().st_size > 0
    assert "report.html" in said
    code, _, told = call("replay", *args, "--seeds", 2, "--usd-weight", 1, "--out", out)
    assert code == 0
    assert "were finished before" in told


def test_comparisons_are_replayed(call, tmp_path):
    """With a history and baselines, into the same rows; what was revealed and where costs are from is said."""
    out = tmp_path / "out"
    args = ("votes.csv", "--policy", "duel", "--warm-fraction", 0.5, "--seeds", 2, "--out", out)
    code, said, told = call("replay", *args)
    assert code == 0, told
    assert "comparisons only" in said
    summary = msgspec.json.decode((out / "summary.json").read_bytes(), type=Summary)
    assert [(one.revealed, one.costs) for one in summary.datasets] == [("comparison", "unknown, counted as 0")]
    rows = {row.policy: row for row in summary.rows}
    assert {row.rounds for row in summary.rows} == {20}
    assert rows["duel"].kind == "policy"
    # c beats everybody, a nobody; b wins where a is the other.
    assert rows["oracle"].quality == 1.0
    assert rows["duel"].quality > rows["uniform"].quality
    assert "constant:c" in rows
    cells = pq.read_table(next((out / "cells").glob("*/plain/duel/none/*.parquet")))
    named = zip(cells["model"].to_pylist(), cells["rival"].to_pylist(), strict=True)
    assert {tuple(sorted(pair)) for pair in named} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert (out / "plots" / "votes.plain.plane.png").stat().st_size > 0
    assert "comparisons only" in (out / "report.html").read_text()


def test_a_log_goes_in_first(call, data, tmp_path):
    """Told in the summary; going on with another log is refused."""
    arena = arena_of(learnable(120, name="toy"))
    rng = np.random.default_rng(0)
    action = rng.integers(0, 3, 60)
    reward = arena.quality[np.arange(60), action]
    context = arena.embeddings[:60].astype(np.float32)
    for name, part in (("past", slice(0, 60)), ("other", slice(0, 50))):
        log = LoggedRounds(action[part], reward[part], np.full(60, 1 / 3)[part], arena.model_ids, context[part])
        write_dsjson(log, data / f"{name}.dsjson")
    args = ("run", "toy", "--seeds", 1, "--no-baselines", "--out", tmp_path / "out", "--warm-log")
    code, _, told = call(*args, "past.dsjson")
    assert code == 0, told
    (about,) = json.loads((tmp_path / "out" / "summary.json").read_text())["datasets"]
    assert about["warm_log_rounds"] == 60
    assert "60 logged rounds" in (tmp_path / "out" / "report.html").read_text()
    assert call(*args, "other.dsjson")[0] == 2
    assert "data.warm_log" in call("run", "bare", "--warm-log", "past.dsjson", "--out", tmp_path / "b")[2]


@pytest.mark.parametrize(
    "args, said",
    [
        (("--policy", "knn"), "policy: expected one that learns from comparisons"),
        (("--policy", "duel", "--budget", "1"), "budgets_usd: expected no budget"),
        (("outage.toml",), "scenarios[0].events[0]: expected prompt_mix"),
    ],
)
def test_what_a_comparison_tells_nothing_of_is_refused(call, tmp_path, monkeypatch, args, said):
    """A policy that passes comparisons over, a budget, an event other than the order of prompts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outage.toml").write_text(
        'policies = ["duel"]\n[[scenarios]]\nname = "s"\nevents = [{ kind = "outage", model = "a", at = 3 }]\n'
    )
    code, _, told = call("run", "votes.csv", *args, "--out", tmp_path / "out")
    assert code == 2
    assert told.splitlines()[-1].startswith(f"banditd-sim: {said}")
    assert not (tmp_path / "out").exists()


def test_an_experiment_file_and_options_over_it(call, tmp_path):
    """The file may stand where a data set does; what the options say wins."""
    file = tmp_path / "e.toml"
    file.write_text(
        'datasets = ["toy"]\nseeds = 4\npolicies = ["softmax"]\n'
        '[[scenarios]]\nname = "s"\nevents = [{ kind = "restart", at = 3 }]\n'
    )
    assert call("run", file, "--seeds", 2, "--no-baselines", "--out", tmp_path / "a")[0] == 0
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert [(row["policy"], row["seeds"], row["scenario"]) for row in summary["rows"]] == [("softmax", 2, "s")]
    assert call("run", "toy", "--experiment", file, "--seeds", 1, "--no-baselines", "--out", tmp_path / "b")[0] == 0


def test_sets_with_and_without_a_split_in_one_command(call, tmp_path):
    """`--warm-fraction` serves those without."""
    args = ("toy", "bare", "--warm-split", "train", "--warm-fraction", 0.5, "--seeds", 1, "--no-baselines")
    assert call("run", *args, "--out", tmp_path / "out")[0] == 0
    found = {one["name"]: one for one in json.loads((tmp_path / "out" / "summary.json").read_text())["datasets"]}
    assert (found["toy"]["warm_prompts"], found["bare"]["warm_prompts"]) == (60, 30)


@pytest.mark.parametrize(
    "args, said",
    [
        (("run",), "DATASET"),
        (("run", "nowhere"), "nowhere"),
        (("run", "world:flat"), "world"),
        (("run", "world:linear#sea=3"), "'sea'"),
        (("run", "toy#router=a"), "router"),
        (("run", "toy", "--embedder", "nope"), "embedder"),
        (("run", "log.dsjson"), "banditd-sim ope replays it"),
        (("run", "toy", "--policy", "nope"), "policies[0]"),
        (("run", "toy", "--budget", "x"), "--budget"),
        (("run", "toy", "--seeds", "0"), "seeds"),
        (("run", "toy", "--warm-split", "dev"), "data.warm_split"),
        (("run", "a.toml", "b.toml"), "--experiment"),
        (("ope", "toy", "--target", "uniform"), "a log with propensities"),
        (("ope", "log.dsjson", "--target", "constant:z"), "'z'"),
        (("ope", "log.dsjson", "--target", "nope"), "target"),
    ],
)
def test_what_is_wrong_is_one_line_and_code_2(call, tmp_path, args, said):
    """And leaves no folder behind."""
    code, _, told = call(*args, "--out", tmp_path / "out")
    assert code == 2
    assert told.count("\n") == 1
    assert told.startswith("banditd-sim: ")
    assert said in told
    assert not (tmp_path / "out").exists()


def test_another_config_is_refused(call, tmp_path):
    """The folder belongs to the first."""
    args = ("run", "toy", "--no-baselines", "--out", tmp_path / "out")
    assert call(*args, "--seeds", 1)[0] == 0
    code, _, told = call(*args, "--seeds", 2)
    assert code == 2
    assert "experiment.seeds" in told


def test_an_interruption_says_how_to_go_on(call, tmp_path, monkeypatch):
    """Exit code 130, and the same command finishes."""
    from banditd_sim.experiments import run as module

    with monkeypatch.context() as patch:
        patch.setattr(module, "work", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        code, _, told = call("run", "toy", "--seeds", 1, "--out", tmp_path / "out")
    assert code == 130
    assert "the same command goes on" in told
    assert call("run", "toy", "--seeds", 1, "--out", tmp_path / "out")[0] == 0


def test_ope_answers(call, tmp_path):
    """Estimators and intervals as asked for."""
    args = ("--target", "softmax", "--target", "constant:a", "--estimator", "dr", "--interval", "bootstrap")
    code, said, told = call("ope", "log.dsjson", *args, "--out", tmp_path / "out")
    assert code == 0, told
    summary = msgspec.json.decode((tmp_path / "out" / "ope.json").read_bytes(), type=OpeSummary)
    assert [(row.target, row.estimator, row.interval) for row in summary.rows[1:]] == [
        ("softmax", "dr", "bootstrap"),
        ("constant:a", "dr", "bootstrap"),
    ]
    assert "softmax would have received" in " ".join(said.split())


def test_ope_refuses_with_a_reason_and_code_3(call, tmp_path):
    """The others are still answered, and the report tells of both."""
    code, _, told = call(
        "ope", "one-sided.dsjson", "--target", "constant:c", "--target", "constant:a", "--out", tmp_path / "o"
    )
    assert code == 3
    assert "constant:c: refused" in told
    text = (tmp_path / "o" / "report.html").read_text()
    assert "constant:c: refused" in text
    assert "constant:a would have received" in text


def test_a_world_by_name_and_seed(call, tmp_path):
    """`world:NAME#key=value` is a data set like another."""
    args = ("world:linear#seed=3,prompts=60,models=3", "--seeds", 1, "--warm-fraction", 0.5, "--no-baselines")
    assert call("run", *args, "--out", tmp_path / "out")[0] == 0
    (found,) = json.loads((tmp_path / "out" / "summary.json").read_text())["datasets"]
    assert (found["name"], found["warm_prompts"], len(found["models"])) == ("linear", 30, 3)


def test_embeddings_are_made_once_where_there_are_none(call, tmp_path):
    """By ngram if nothing is said; a path serves as well as a name; the second run finds them made."""
    for out in ("a", "b"):
        code, _, told = call("run", "bare", "--seeds", 1, "--no-baselines", "--out", tmp_path / out)
        assert code == 0, told
        assert told.startswith("0/60 texts embedded\n" if out == "a" else "60/60 texts embedded\n")
    assert list((tmp_path / "cache" / "banditd-sim" / "embeddings").rglob("*.npy"))


def test_datasets_are_listed(call, data):
    """What can be read, and what is there; a folder's sets; one set described."""
    code, said, _ = call("datasets")
    assert code == 0
    for form in ("shared", "routerbench", "arena", "dsjson", "open_bandit", "banditd", "world:drifting"):
        assert form in said
    for name in ("toy", "bare", "log", "one-sided"):
        assert any(line.split()[:1] == [name] for line in said.splitlines())
    _, of_folder, _ = call("datasets", data)
    assert of_folder.splitlines()[1:] == [line for line in said.splitlines() if str(data) in line]
    code, described, _ = call("datasets", "toy", "log.dsjson", "world:linear#prompts=50")
    assert code == 0
    assert "120 prompts" in described
    assert "600 rounds" in described
    assert "toy: m0, m1, m2" in described
    code, _, told = call("datasets", "nowhere")
    assert (code, told.count("\n")) == (2, 1)


def test_without_folders_the_listing_says_how_to_name_them(call, monkeypatch):
    """By the variable."""
    monkeypatch.delenv("BANDITD_DATA")
    code, said, _ = call("datasets")
    assert code == 0
    assert "BANDITD_DATA is not set" in said


def test_the_program_starts():
    """As `banditd-sim` would."""
    run = [sys.executable, "-c", "from banditd_sim.cli import main; main()", "--help"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=True)
    assert all(verb in done.stdout for verb in ("run", "replay", "ope", "datasets"))
