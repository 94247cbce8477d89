"""Reports: the published schema, tables without time, pages that need nothing else."""

import csv
import json
import re
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from banditd_sim.experiments.config import experiment_of
from banditd_sim.experiments.evaluation import evaluate_targets
from banditd_sim.experiments.run import run
from banditd_sim.report.ope_page import ope_headlines, write_ope_report
from banditd_sim.report.ope_schema import OpeSummary
from banditd_sim.report.page import page, table
from banditd_sim.report.run_page import headlines
from banditd_sim.report.schema import SCHEMA_FILE, Summary, json_schema, schema_bytes
from banditd_sim.report.write import write_report
from tests.sim.environments.worlds import learnable
from tests.sim.experiments.test_targets import make_log

# The keys that the issue asks for, in its words.
WANTED = [
    "dataset",
    "scenario",
    "policy",
    "budget_usd",
    "seeds",
    "rounds",
    "quality",
    "quality_ci",
    "cost_usd",
    "hull_quality",
    "gain_over_hull",
    "gain_over_hull_ci",
    "gain_over_chosen_mix",
    "gain_over_chosen_mix_ci",
    "oracle_quality_at_cost",
    "best_constant_model",
    "best_constant_quality",
    "best_constant_cost_usd",
    "budget_ratio",
    "rounds_per_second",
]


@dataclass
class Made:
    """A written report."""

    folder: object
    summary: Summary


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small experiment with a scenario and budgets for the baselines, reported."""
    folder = tmp_path_factory.mktemp("report") / "out"
    experiment = experiment_of(
        {
            "datasets": ["<b>&set"],
            "policies": ["linucb", "fixed_mix"],
            "seeds": 3,
            "usd_weight": 1.0,
            "data": {"warm_split": "train"},
            "scenarios": [
                {"name": "plain"},
                {"name": "fall", "events": [{"kind": "model_removed", "model": "m2", "at": 0.5}]},
            ],
        }
    )
    done = run(experiment, [learnable(200, name="<b>&set")], folder)
    return Made(folder, write_report(experiment, *done))


def test_the_published_schema_is_that_of_the_types():
    """Regenerate with: python -m banditd_sim.report.schema."""
    assert SCHEMA_FILE.read_bytes() == schema_bytes()
    row = json_schema()["$defs"]["Row"]
    assert set(WANTED) <= set(row["required"])
    assert row["additionalProperties"] is False


def test_summary_json_keeps_the_schema(made):
    """Every key of the issue is in every row, in its order, and the file reads back as what was written."""
    raw = (made.folder / "summary.json").read_bytes()
    assert msgspec.json.decode(raw, type=Summary, strict=True) == made.summary
    rows = json.loads(raw)["rows"]
    assert all(list(row)[: len(WANTED)] == WANTED for row in rows)
    # JSON has no words for these, and some readers take them.
    assert not re.search(rb"\b(NaN|Infinity)\b", raw)
    policies = {row["policy"] for row in rows}
    assert policies >= {"linucb", "constant:m0", "uniform", "category_table", "prompt_length", "fixed_mix", "oracle"}


def test_summary_csv_has_no_time(made):
    """So that config and seed give the same bytes; an interval is two columns."""
    with (made.folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert "rounds_per_second" not in rows[0]
    assert len(rows) == len(made.summary.rows)
    for cells, row in zip(rows, made.summary.rows, strict=True):
        assert float(cells["quality"]) == row.quality
        assert (float(cells["quality_low"]), float(cells["quality_high"])) == row.quality_ci
        assert cells["budget_usd"] == ""


def test_one_seed_has_no_interval(tmp_path):
    """null, not a number that means nothing."""
    experiment = experiment_of({"datasets": ["learnable"], "policies": ["linucb"], "seeds": 1, "baselines": False})
    summary = write_report(experiment, *run(experiment, [learnable(60)], tmp_path / "out"))
    assert summary.rows[0].quality_ci is None
    assert summary.rows[0].rounds_per_second > 0.0
    assert "one seed: no interval" in headlines(summary.rows)[0]


def test_the_page_needs_nothing_else_and_shows_names_as_they_are(made):
    """No link, script or picture from elsewhere; a name with a tag in it stays text."""
    text = (made.folder / "report.html").read_text()
    assert not re.search(r"(src|href)\s*=\s*(?!['\"]?data:)", text)
    assert "<script" not in text
    assert "<b>&set" not in text
    assert "&lt;b&gt;&amp;set" in text
    assert text.count("<img") == len(list((made.folder / "plots").glob("*.svg"))) == 6
    assert len(list((made.folder / "plots").glob("*.png"))) == 6


def test_headlines_say_whether_it_is_more_than_chance(made):
    """The sign, the interval, and the doubt where there is one."""
    row = next(row for row in made.summary.rows if row.policy == "linucb")
    sure = msgspec.structs.replace(row, gain_over_hull=0.02, gain_over_hull_ci=(0.01, 0.03))
    unsure = msgspec.structs.replace(row, gain_over_hull=-0.02, gain_over_hull_ci=(-0.05, 0.01))
    assert "0.020 above the best fixed mix" in headlines([sure])[0]
    assert "may be nothing" not in headlines([sure])[0]
    assert "0.020 below the best fixed mix" in headlines([unsure])[0]
    assert "may be nothing" in headlines([unsure])[0]


def test_the_plane_holds_hull_and_oracle(made):
    """The hull ends at the best constant; the frontier is above it."""
    with (made.folder / "plane.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["scenario"] == "plain"]
    hull = [(float(row["cost_usd"]), float(row["quality"])) for row in rows if row["line"] == "hull"]
    oracle = [(float(row["cost_usd"]), float(row["quality"])) for row in rows if row["line"] == "oracle"]
    constants = [row for row in made.summary.rows if row.policy.startswith("constant:") and row.scenario == "plain"]
    assert hull[-1][1] == pytest.approx(max(row.quality for row in constants))
    assert oracle[-1][1] > hull[-1][1]


def test_shares_sum_to_one_and_regret_grows(made):
    """Per policy and bin; cumulative regret against the best of each prompt never falls."""
    with (made.folder / "shares.csv").open() as file:
        shares = list(csv.DictReader(file))
    total = {}
    for row in shares:
        key = (row["scenario"], row["policy"], row["start"])
        total[key] = total.get(key, 0.0) + float(row["share"])
    assert list(total.values()) == pytest.approx([1.0] * len(total))
    with (made.folder / "curves.csv").open() as file:
        regret = [float(row["regret"]) for row in csv.DictReader(file) if row["policy"] == "linucb"][:100]
    assert regret == sorted(regret)


def test_empty_columns_of_a_table_are_left_out():
    """And everything else is text."""
    text = table(("a", "b", "c"), [("1", "", "<3>")], [True])
    assert "<th>b</th>" not in text
    assert "&lt;3&gt;" in text
    assert b"<title>x &amp; y</title>" in page("x & y", [])


def test_an_ope_report(tmp_path):
    """Tables, forest and page; refused targets stand on top with their reason; the JSON reads back."""
    log, _ = make_log(600)
    pmf = np.tile([0.5, 0.5, 0.0], (600, 1))
    action = np.arange(600) % 2
    from banditd_sim.ope import LoggedRounds

    log = LoggedRounds(action, log.reward, np.full(600, 0.5), log.model_ids, log.context, pmf)
    summary = evaluate_targets("my.log", log, ["constant:a", "constant:c"], intervals=("normal", "bootstrap"))
    write_ope_report(tmp_path / "out", summary)
    raw = (tmp_path / "out" / "ope.json").read_bytes()
    assert msgspec.json.decode(raw, type=OpeSummary, strict=True) == summary
    text = (tmp_path / "out" / "report.html").read_text()
    assert "constant:c: refused" in text
    assert not re.search(r"(src|href)\s*=\s*(?!['\"]?data:)", text)
    assert (tmp_path / "out" / "plots" / "ope.forest.png").stat().st_size > 1000
    with (tmp_path / "out" / "ope.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(summary.rows)
    assert len(ope_headlines(summary)) == 2
