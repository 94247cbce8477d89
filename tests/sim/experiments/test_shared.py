"""One experiment on real data, against figures that stand in the data's own description."""

import pytest

from banditd_sim.experiments.config import experiment_of
from banditd_sim.experiments.run import run
from banditd_sim.report.write import write_report
from tests.sim.shared_form import read_shared


def test_routellm_agrees_with_its_description(shared_dir, tmp_path):
    """The data README: best single of test 0.8124; of all prompts 0.8084, 0.6787, oracle 0.8648 at 0.374 per 1,000."""
    table = read_shared(shared_dir / "data" / "routellm")
    for split, best in (("test", 0.8124), ("", 0.8084)):
        experiment = experiment_of(
            {"datasets": ["routellm"], "policies": ["uniform"], "seeds": 2, "data": {"test_split": split}}
        )
        summary = write_report(experiment, *run(experiment, [table], tmp_path / f"out-{split}"))
        rows = {row.policy: row for row in summary.rows}
        assert rows["constant:gpt-4-1106-preview"].quality == pytest.approx(best, abs=5e-5)
    assert rows["constant:mistralai/Mixtral-8x7B-Instruct-v0.1"].quality == pytest.approx(0.6787, abs=5e-5)
    assert rows["oracle"].quality == pytest.approx(0.8648, abs=5e-5)
    assert 1000.0 * rows["oracle"].cost_usd == pytest.approx(0.374, abs=5e-4)


def test_a_warm_router_is_above_the_fixed_mix_of_pareto(shared_dir, tmp_path):
    """At a trade-off in the middle, three seeds; the issue on budgets sets the real bars."""
    table = read_shared(shared_dir / "data" / "pareto")
    experiment = experiment_of(
        {
            "datasets": ["pareto"],
            "policies": ["linucb"],
            "seeds": 3,
            "usd_weight": 275.0,
            "baselines": False,
            "data": {"warm_split": "train", "test_split": "test"},
        }
    )
    summary = write_report(experiment, *run(experiment, [table], tmp_path / "out"))
    assert summary.rows[0].gain_over_hull > 0.0
    assert summary.rows[0].gain_over_chosen_mix > 0.0
