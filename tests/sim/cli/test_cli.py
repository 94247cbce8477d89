"""The command line: two commands from nothing to a report, and one clear line where something is wrong."""

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from banditd_sim.cli import opening
from banditd_sim.cli.main import commands
from banditd_sim.ope import LoggedRounds
from banditd_sim.report.ope_schema import OpeSummary
from banditd_sim.report.schema import Summary
from tests.sim.environments.worlds import learnable
from tests.sim.experiments.test_targets import make_log


def one_sided():
    """Return a log that never plays c."""
    log, _ = make_log(600)
    pmf = np.tile([0.5, 0.5, 0.0], (600, 1))
    return LoggedRounds(np.arange(600) % 2, log.reward, np.full(600, 0.5), log.model_ids, log.context, pmf)


@pytest.fixture
def call(monkeypatch):
    """Call the command line on data sets of our own; returns exit code, output and errors."""
    known = {
        "toy": lambda: learnable(120, name="toy"),
        "bare": lambda: learnable(60, name="bare", split=[""] * 60),
        "log": lambda: make_log(600)[0],
        "one-sided": one_sided,
    }

    def open_dataset(name):
        if name not in known:
            raise ValueError(f"{name}: expected a data set, got none")
        return known[name]()

    loaders = {"open_dataset": open_dataset, "known_datasets": lambda: [("toy", "a toy"), ("log", "a log")]}
    monkeypatch.setattr(opening, "_loader", loaders.__getitem__)

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
        (("run", "log"), "banditd-sim ope reads it"),
        (("run", "toy", "--policy", "nope"), "policies[0]"),
        (("run", "toy", "--budget", "x"), "--budget"),
        (("run", "toy", "--seeds", "0"), "seeds"),
        (("run", "toy", "--warm-split", "dev"), "data.warm_split"),
        (("run", "a.toml", "b.toml"), "--experiment"),
        (("ope", "toy", "--target", "uniform"), "a log with propensities"),
        (("ope", "log", "--target", "constant:z"), "'z'"),
        (("ope", "log", "--target", "nope"), "target"),
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
    code, said, told = call("ope", "log", *args, "--out", tmp_path / "out")
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
        "ope", "one-sided", "--target", "constant:c", "--target", "constant:a", "--out", tmp_path / "o"
    )
    assert code == 3
    assert "constant:c: refused" in told
    text = (tmp_path / "o" / "report.html").read_text()
    assert "constant:c: refused" in text
    assert "constant:a would have received" in text


def test_datasets_are_listed(call):
    """Names and what they are."""
    code, said, _ = call("datasets")
    assert code == 0
    assert said.splitlines() == ["toy  a toy", "log  a log"]


def test_the_program_starts():
    """As `banditd-sim` would."""
    run = [sys.executable, "-c", "from banditd_sim.cli import main; main()", "--help"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=True)
    assert all(verb in done.stdout for verb in ("run", "replay", "ope", "datasets"))
