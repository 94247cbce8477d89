"""Runs: the same bytes for the same config, in any number of processes, interrupted or not."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from banditd_sim.environments.errors import SimError
from banditd_sim.experiments import run as module
from banditd_sim.experiments.config import experiment_of, to_plain
from banditd_sim.experiments.plan import plan, subject_of
from banditd_sim.experiments.run import run
from banditd_sim.experiments.work import work
from banditd_sim.metrics import routerarena_score
from banditd_sim.report.write import write_report
from tests.sim.environments.worlds import flat, learnable, make_table

SMALL = {
    "datasets": ["learnable"],
    "policies": ["linucb", "lin_thompson:deviation_scale=0.3"],
    "seeds": 6,
    "usd_weight": 2.0,
    "data": {"warm_split": "train", "test_split": "test"},
    "scenarios": [
        {"name": "plain"},
        {"name": "late", "events": [{"kind": "delay", "rounds": 3}, {"kind": "outage", "model": "m1", "at": 0.5}]},
    ],
}
# What config and seed decide; summary.json and the figures beside each table also hold how long it took.
FIXED = ("*.csv", "config.json", "cells/**/*.parquet", "plots/*")


def small(**changes):
    """Return a small experiment."""
    return experiment_of(SMALL | changes)


def bytes_of(folder):
    """Return every file that must not vary."""
    return {str(p.relative_to(folder)): p.read_bytes() for pattern in FIXED for p in sorted(folder.glob(pattern))}


def whole(folder, experiment=None, table=None, **rest):
    """Run and report; returns the summary."""
    experiment = experiment or small()
    done = run(experiment, [table or learnable(160)], folder, **rest)
    return write_report(experiment, *done)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A finished run in one process."""
    folder = tmp_path_factory.mktemp("reference") / "out"
    return folder, whole(folder)


def test_config_and_seed_give_the_same_bytes(reference, tmp_path):
    """Every table, every per-round file and every picture."""
    whole(tmp_path / "again")
    first, second = bytes_of(reference[0]), bytes_of(tmp_path / "again")
    assert first.keys() == second.keys()
    assert len(first) > 40
    assert [name for name in first if first[name] != second[name]] == []


def test_processes_change_nothing(reference, tmp_path):
    """Two processes, results in any order."""
    whole(tmp_path / "two", jobs=2)
    assert bytes_of(tmp_path / "two") == bytes_of(reference[0])


def test_an_interrupted_run_goes_on(reference, tmp_path, monkeypatch):
    """What is finished is not repeated, nothing is there by half, and the end is the same."""
    real, done = module.work, []

    def work(experiment, subject, task):
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(task)
        return real(experiment, subject, task)

    monkeypatch.setattr(module, "work", work)
    with pytest.raises(KeyboardInterrupt):
        whole(tmp_path / "out")
    kept = sorted((tmp_path / "out").glob("cells/**/*.json"))
    assert len(kept) == 7
    before = {path: path.stat().st_mtime_ns for path in kept}

    again = []
    monkeypatch.setattr(module, "work", lambda e, s, task: again.append(task) or real(e, s, task))
    told = []
    whole(tmp_path / "out", progress=lambda finished, total, label: told.append((finished, total, label)))
    assert not set(again) & set(done)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert told[0][0] == 7
    assert told[-1][0] == told[-1][1] == len(again) + 7
    assert bytes_of(tmp_path / "out") == bytes_of(reference[0])


def test_a_half_written_task_is_done_again(reference, tmp_path):
    """A table without its figures is not finished."""
    whole(tmp_path / "out")
    victim = sorted((tmp_path / "out").glob("cells/**/*.json"))[3]
    victim.unlink()
    victim.with_suffix(".parquet").write_bytes(b"torn")
    whole(tmp_path / "out")
    assert bytes_of(tmp_path / "out") == bytes_of(reference[0])


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"usd_weight": 3.0}, "experiment.usd_weight"),
        ({"seeds": 7}, "experiment.seeds"),
        ({"policies": ["linucb"]}, "experiment.policies"),
        ({"data": {"test_split": "test"}}, "experiment.data.warm_split"),
    ],
)
def test_another_config_in_the_same_folder_is_refused(reference, changes, named):
    """And nothing is touched."""
    before = bytes_of(reference[0])
    with pytest.raises(SimError, match=named) as caught:
        run(small(**changes), [learnable(160)], reference[0])
    assert caught.value.reason == "OTHER_CONFIG"
    assert bytes_of(reference[0]) == before


def test_other_data_in_the_same_folder_is_refused(reference):
    """By the fingerprint."""
    with pytest.raises(SimError, match="datasets"):
        run(small(), [learnable(160, seed=1)], reference[0])


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    """It might be somebody's home."""
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(SimError, match="an empty folder"):
        run(small(), [learnable(160)], tmp_path)


def test_the_rounds_on_disk_are_what_the_figures_say(reference):
    """Quality, cost and shares of each row recomputed from its per-round files."""
    folder, summary = reference
    for row in summary.rows:
        found = [p for p in folder.glob("cells/learnable/*/*/none/*.parquet") if _is(p, row)]
        tables = [pq.read_table(path) for path in found]
        round_ = np.concatenate([t.column("round").to_numpy() for t in tables])
        assert len(np.unique(np.concatenate([t.column("seed").to_numpy() for t in tables]))) == row.seeds
        assert len(round_) == row.seeds * row.rounds
        for name in ("quality", "cost_usd"):
            values = np.concatenate([t.column(name).to_numpy() for t in tables])
            assert values.mean() == pytest.approx(getattr(row, name), abs=1e-12)
        model = np.concatenate([np.array(t.column("model").to_pylist()) for t in tables])
        for model_id, share in row.shares.items():
            assert (model == model_id).mean() == pytest.approx(share)
        regret = np.concatenate([t.column("regret").to_numpy() for t in tables])
        assert regret.min() >= -1e-12
        assert regret.sum() / row.seeds == pytest.approx(row.regret_oracle)


def test_policies_on_one_seed_see_the_same_prompts_in_the_same_order(reference):
    """Which is what makes their differences paired."""
    folder, _ = reference
    orders = set()
    for path in folder.glob("cells/learnable/plain/*/none/*.parquet"):
        table = pq.read_table(path, columns=["seed", "prompt"])
        first = table.filter(table.column("seed").to_numpy() == 0)
        orders.add(tuple(first.column("prompt").to_pylist()))
    assert len([order for order in orders if order]) == 1


def test_learning_beats_chance_and_the_oracle_beats_all(reference):
    """On an easy world, warm."""
    rows = {row.policy: row for row in reference[1].rows if row.scenario == "plain"}
    assert rows["linucb"].utility > rows["uniform"].utility + 0.05
    assert rows["linucb"].gain_over_hull > 0.0
    assert rows["oracle"].utility >= max(row.utility for row in rows.values())
    assert rows["oracle"].regret_oracle == pytest.approx(0.0, abs=1e-9)


def test_hand_worked_figures(tmp_path):
    """Two models, costs 1 and 3, qualities 0.2 and 0.8, uniform choice: worked out on paper.

    At cost c the mix has quality 0.2 + 0.3 (c - 1), which is what uniform choice gets: gain 0. The oracle at cost c
    does no better, since all prompts are alike.
    """
    table = flat(400, [0.2, 0.8], [1.0, 3.0])
    experiment = experiment_of({"datasets": ["hand"], "policies": ["uniform"], "seeds": 2, "usd_weight": 0.1})
    summary = whole(tmp_path / "out", experiment, table)
    rows = {row.policy: row for row in summary.rows}
    uniform = rows["uniform"]
    assert uniform.hull_quality == pytest.approx(0.2 + 0.3 * (uniform.cost_usd - 1.0))
    assert uniform.gain_over_hull == pytest.approx(0.0, abs=1e-9)
    assert uniform.oracle_quality_at_cost == pytest.approx(uniform.hull_quality)
    assert uniform.hull_to_oracle_share is None
    assert uniform.gain_over_chosen_mix is None
    assert uniform.utility == pytest.approx(uniform.quality - 0.1 * uniform.cost_usd)
    # 0.8 - 0.3 = 0.5 beats 0.2 - 0.1.
    assert (uniform.best_constant_model, uniform.best_constant_quality) == ("m1", pytest.approx(0.8))
    assert uniform.regret_constant == pytest.approx(400 * (0.5 - uniform.utility))
    assert rows["constant:m1"].regret_oracle == pytest.approx(0.0, abs=1e-9)
    assert rows["constant:m0"].regret_oracle == pytest.approx(400 * (0.5 - 0.1))
    assert uniform.budget_ratio is None
    assert uniform.rounds_per_second is None
    assert uniform.routerarena_score == routerarena_score(uniform.quality, 1000.0 * uniform.cost_usd)
    (frontier,) = [one for one in summary.frontiers if one.policy == "uniform"]
    # A mix on the straight line between the models: half of the gap is closed on average.
    assert frontier.apgr == pytest.approx(0.5)
    assert frontier.cpt["0.8"] == pytest.approx(0.8)


def test_budgets_of_baselines(tmp_path):
    """A fixed mix for 2 dollars of costs 1 and 3 spends them; the constants have no budget."""
    table = flat(2000, [0.2, 0.8], [1.0, 3.0], split=["train", "test"] * 1000)
    data = {"warm_split": "train", "test_split": "test"}
    experiment = experiment_of(
        {"datasets": ["hand"], "policies": ["fixed_mix"], "seeds": 4, "budgets_usd": [2.0, 1.0], "data": data}
    )
    summary = whole(tmp_path / "out", experiment, table)
    rows = {(row.policy, row.budget_usd): row for row in summary.rows}
    assert rows["fixed_mix", 2.0].budget_ratio == pytest.approx(1.0, abs=0.03)
    assert rows["fixed_mix", 2.0].gain_over_chosen_mix == pytest.approx(0.0, abs=1e-9)
    assert rows["fixed_mix", 1.0].quality == pytest.approx(0.2)
    # The oracle at 2 dollars mixes as well, for 0.5; at 1 dollar nothing is lost.
    mixed = rows["fixed_mix", 2.0]
    assert mixed.regret_oracle_at_budget == pytest.approx(1000 * (0.5 - mixed.quality))
    assert rows["fixed_mix", 1.0].regret_oracle_at_budget == pytest.approx(0.0, abs=1e-9)
    assert rows["uniform", None].regret_oracle_at_budget is None
    assert rows["fixed_mix", 1.0].best_constant_model == "m0"
    assert {budget for policy, budget in rows if policy.startswith("constant")} == {None}


def test_learning_policies_keep_a_budget(tmp_path):
    """Budgets that bind: without one, five times as much is spent. Both are spent in full, and not in vain.

    Models cost about 0.0001, 0.001 and 0.01 dollars, and the dearest is the best one.
    """
    experiment = small(budgets_usd=[5e-4, 2e-3], unlimited=True, usd_weight=0.0, seeds=4, scenarios=[{"name": "plain"}])
    summary = whole(tmp_path / "out", experiment, learnable(2000))
    rows = {(row.policy, row.budget_usd): row for row in summary.rows}
    for policy in experiment.policies:
        less, more, free = (rows[policy, budget] for budget in (5e-4, 2e-3, None))
        assert free.cost_usd > 5 * 5e-4
        assert free.budget_ratio is None
        for row in (less, more):
            assert row.budget_ratio == pytest.approx(1.0, abs=0.08)
            assert row.budget_ratio == pytest.approx(row.cost_usd / row.budget_usd)
            assert row.gain_over_hull > 0.02
            assert row.gain_over_hull_ci[0] > 0.0
            assert row.rounds_per_second > 0.0
        assert less.quality < more.quality < free.quality


def test_a_budget_that_changes_is_kept_in_both_parts(tmp_path):
    """Quadrupled in the middle: the learning policy spends what each part may."""
    events = [{"kind": "budget_change", "at": 0.5, "factor": 4.0}]
    experiment = small(
        policies=["linucb"], budgets_usd=[5e-4], usd_weight=0.0, seeds=4, scenarios=[{"name": "more", "events": events}]
    )
    summary = whole(tmp_path / "out", experiment, learnable(3000))
    phases = [phase for phase in summary.phases if phase.policy == "linucb"]
    assert [phase.phase_budget_usd for phase in phases] == pytest.approx([5e-4, 2e-3])
    assert [phase.budget_ratio for phase in phases] == pytest.approx([1.0, 1.0], abs=0.15)
    assert phases[1].cost_usd > 3.0 * phases[0].cost_usd


def test_gaps_are_dropped_or_restricted(tmp_path):
    """Of 40 prompts 10 lack m1: dropped and counted, or offered without it."""
    quality = np.tile([0.2, 0.8], (40, 1))
    quality[::4, 1] = np.nan
    table = make_table(quality, np.tile([1.0, 3.0], (40, 1)))
    for incomplete, rounds, left_out in (("drop", 30, 10), ("restrict", 40, 0)):
        experiment = experiment_of(
            {"datasets": ["hand"], "policies": ["linucb"], "seeds": 2, "data": {"incomplete": incomplete}}
        )
        summary = whole(tmp_path / incomplete, experiment, table)
        assert {row.rounds for row in summary.rows} == {rounds}
        assert summary.datasets[0].left_out_prompts == left_out


def test_phases_tell_before_from_after(tmp_path):
    """m1 falls from 0.8 to 0.1 in the middle: the constant's quality by phase, and who recovered."""
    table = flat(400, [0.5, 0.8], [1.0, 1.0])
    events = [{"kind": "degradation", "model": "m1", "at": 200, "factor": 0.125}]
    experiment = experiment_of(
        {
            "datasets": ["hand"],
            "policies": ["adaptive:retention=0.9"],
            "seeds": 2,
            "scenarios": [{"name": "fall", "events": events}],
        }
    )
    summary = whole(tmp_path / "out", experiment, table)
    phases = {(phase.policy, phase.start): phase for phase in summary.phases}
    assert phases["constant:m1", 0].quality == pytest.approx(0.8)
    assert phases["constant:m1", 200].quality == pytest.approx(0.1)
    assert phases["constant:m1", 200].recovery_rounds is None
    assert phases["constant:m0", 200].recovery_rounds == 99
    assert phases["adaptive:retention=0.9", 0].shares["m1"] > 0.8
    assert phases["adaptive:retention=0.9", 200].shares["m0"] > 0.8


def test_a_new_model_is_adopted_or_not(tmp_path):
    """Half of the calls is adoption, as soon as there are 100; none never is; before it comes there is nothing."""
    table = flat(600, [0.5, 0.8], [1.0, 1.0])
    events = [{"kind": "model_added", "model": "m1", "at": 300}]
    experiment = experiment_of(
        {"datasets": ["hand"], "policies": [], "seeds": 3, "scenarios": [{"name": "new", "events": events}]}
    )
    summary = whole(tmp_path / "out", experiment, table)
    phases = {(phase.policy, phase.start): phase.adoption_rounds for phase in summary.phases}
    assert phases["uniform", 300] == 99
    assert phases["constant:m0", 300] is None
    assert phases["uniform", 0] is None


def test_the_hull_holds_models_that_come_and_go(tmp_path):
    """m0 leaves when m1 comes: always m1 is m0 and then m1, no better than its own mix; nobody was there throughout."""
    table = flat(200, [0.2, 0.8], [1.0, 3.0])
    events = [{"kind": "model_added", "model": "m1", "at": 100}, {"kind": "model_removed", "model": "m0", "at": 100}]
    experiment = experiment_of(
        {"datasets": ["hand"], "policies": [], "seeds": 2, "scenarios": [{"name": "new", "events": events}]}
    )
    summary = whole(tmp_path / "out", experiment, table)
    for row in summary.rows:
        assert (row.quality, row.hull_quality) == (pytest.approx(0.5), pytest.approx(0.5))
        assert row.best_constant_quality == pytest.approx(0.5)
        assert (row.regret_constant, row.regret_category) == (None, None)
    events[1]["at"] = 150
    both = whole(tmp_path / "both", experiment_of(to_plain(experiment) | {"scenarios": [{"events": events}]}), table)
    rows = {row.policy: row for row in both.rows}
    # Always m1 is 100 rounds of m0 and 100 of m1; always m0 only 50 of m1. Chance lies on the line between them.
    assert rows["constant:m1"].gain_over_hull == pytest.approx(0.0, abs=1e-9)
    assert rows["constant:m0"].gain_over_hull == pytest.approx(0.0, abs=1e-9)
    assert rows["uniform"].gain_over_hull == pytest.approx(0.0, abs=1e-9)


def test_recovery_is_held_against_what_the_budget_could_pay(tmp_path):
    """For 1 dollar per prompt the constant of 3 dollars is no reference, whatever its quality; for 4 it is."""
    table = flat(400, [0.5, 0.9], [1.0, 3.0])
    experiment = experiment_of(
        {
            "datasets": ["hand"],
            "policies": ["fixed_mix"],
            "seeds": 1,
            "budgets_usd": [1.0],
            "scenarios": [{"name": "more", "events": [{"kind": "budget_change", "at": 200, "factor": 4.0}]}],
        }
    )
    summary = whole(tmp_path / "out", experiment, table)
    phases = [phase for phase in summary.phases if phase.policy == "fixed_mix"]
    assert [phase.best_constant_utility for phase in phases] == pytest.approx([0.5, 0.9])
    assert [phase.budget_ratio for phase in phases] == pytest.approx([1.0, 0.75])


def test_settings_are_resolved_and_versions_told(reference):
    """Whoever finds the folder can run it again."""
    about = json.loads((Path(reference[0]) / "config.json").read_text())
    assert experiment_of(about["experiment"]) == small()
    assert about["experiment"] == json.loads(json.dumps(to_plain(small())))
    assert {"python", "numpy", "banditd"} <= about["versions"].keys()
    assert about["datasets"][0]["fingerprint"]


def test_workers_write_to_nothing_that_they_were_given():
    """Ray and memory maps hand out read-only arrays."""
    experiment = small()
    subject = subject_of(learnable(160), experiment)
    for held in (subject.arena, subject.parts):
        for name in held.__slots__:
            if isinstance(getattr(held, name), np.ndarray):
                getattr(held, name).setflags(write=False)
    for task in plan(experiment, [subject])[::3]:
        work(experiment, subject, task)


def test_ray_is_a_back_end(tmp_path, reference, monkeypatch):
    """The same bytes on a local Ray."""
    ray = pytest.importorskip("ray", reason="ray is an extra: banditd-sim[ray]")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        whole(tmp_path / "ray", jobs=2, backend="ray")
    finally:
        ray.shutdown()
    assert bytes_of(tmp_path / "ray") == bytes_of(reference[0])


def test_ray_that_is_not_installed_is_told(tmp_path):
    """With what to install."""
    import importlib.util

    if importlib.util.find_spec("ray"):
        pytest.skip("ray is installed")
    with pytest.raises(SimError, match="banditd-sim\\[ray\\]"):
        whole(tmp_path / "out", jobs=2, backend="ray")


def _is(path, row):
    from banditd_sim.experiments.plan import slug

    return path.parts[-4] == row.scenario and path.parts[-3] == slug(row.policy)
