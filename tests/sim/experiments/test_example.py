"""The example file: every kind of event, alone and together, on real data."""

from importlib import metadata
from pathlib import Path

import msgspec
import pytest

from banditd_sim.datasets import embed_table, open_dataset
from banditd_sim.embed import resolve_embedder
from banditd_sim.environments import scenario as scenarios
from banditd_sim.experiments.config import load_experiment
from banditd_sim.experiments.plan import plan, subject_of
from banditd_sim.experiments.run import run
from banditd_sim.report.write import write_report

EXAMPLE = Path(__file__).parents[3] / "sim" / "examples" / "scenarios.toml"


@pytest.fixture(scope="module")
def table():
    """The data set that the example names, from the installed package, embedded."""
    try:
        metadata.version("paretobandit")
    except metadata.PackageNotFoundError:
        pytest.skip("the example's data is an extra: banditd-sim[demo]")
    return embed_table(open_dataset("paretobandit").data, resolve_embedder("ngram"))


def test_every_kind_of_event_is_in_the_example():
    """Alone in a scenario, and in the last one with others."""
    kinds = {kind.__struct_config__.tag for kind in scenarios.Event.__args__}
    experiment = load_experiment(EXAMPLE)
    alone = [one.events[0] for one in experiment.scenarios if len(one.events) == 1]
    together = experiment.scenarios[-1].events
    assert {event.__struct_config__.tag for event in alone} == kinds
    assert {event.__struct_config__.tag for event in together} == kinds


def test_the_example_fits_its_data(table):
    """Every model, split and moment is there."""
    experiment = load_experiment(EXAMPLE)
    assert plan(experiment, [subject_of(table, experiment)])


def test_everything_at_once_is_played(table, tmp_path):
    """A router with a budget and all baselines go through all events; every phase between events is told."""
    experiment = load_experiment(EXAMPLE)
    changes = {"scenarios": experiment.scenarios[-1:], "policies": ["linucb"], "seeds": 1}
    experiment = msgspec.structs.replace(experiment, **changes)
    summary = write_report(experiment, *run(experiment, [table], tmp_path / "out"))
    routed = next(row for row in summary.rows if row.policy == "linucb")
    assert routed.failed_share > 0.0
    assert routed.rounds == len([one for one in table.split if one == "test_holdout"])
    assert len([one for one in summary.phases if one.policy == "linucb"]) == 9
