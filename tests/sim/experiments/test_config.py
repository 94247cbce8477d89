"""Experiment files: what is accepted, what is refused and by which name."""

import msgspec
import pytest

from banditd_sim.environments.errors import SimError
from banditd_sim.environments.scenario import Event
from banditd_sim.experiments.config import DataConfig, Experiment, experiment_of, load_experiment, to_plain

WHOLE = """
datasets = ["a", "b"]
policies = ["linucb:alpha=1", "uniform"]
budgets_usd = [1e-4, 2e-4]
unlimited = true
usd_weight = 12.5
seeds = 3

[data]
warm_split = "train"
test_split = "test"

[[scenarios]]
name = "storm"
events = [
  { kind = "price_change", model = "m", at = 0.33, until = 0.66, factor = 0.1 },
  { kind = "degradation", model = "m", at = 10, mean = 0.75 },
  { kind = "outage", model = "m", at = 10, until = 20, rate = 0.5, failure = "timeout" },
  { kind = "model_added", model = "m", at = 5 },
  { kind = "model_removed", model = "n", at = 5 },
  { kind = "delay", rounds = 5, spread = "exponential", per_model = { m = 2 } },
  { kind = "sparse", rate = 0.2, rate_at_best = 0.4 },
  { kind = "noisy_judge", deviation = 0.1 },
  { kind = "poison", share = 0.2, lie = "promote", model = "m" },
  { kind = "prompt_mix", order = "drift" },
  { kind = "restart", at = 7 },
  { kind = "budget_change", at = 9, factor = 2.0 },
]
"""


def test_a_file_with_every_kind_of_event_is_read(tmp_path):
    """And comes back the same from its plain values."""
    path = tmp_path / "e.toml"
    path.write_text(WHOLE)
    experiment = load_experiment(path)
    assert experiment.budgets == (1e-4, 2e-4, None)
    assert {type(event) for event in experiment.scenarios[0].events} == set(Event.__args__)
    assert experiment_of(to_plain(experiment)) == experiment


def test_the_defaults_are_twenty_seeds_without_a_budget():
    """As the issue wants."""
    assert (Experiment().seeds, Experiment().budgets, Experiment().policies) == (20, (None,), ["linucb"])


@pytest.mark.parametrize(
    "text, named",
    [
        ("seeds = 0", "seeds"),
        ("sedes = 3", "sedes"),
        ('policies = ["a", "a"]', "policies"),
        ("budgets_usd = [0.0]", "budgets_usd"),
        ("unlimited = false", "budgets_usd"),
        ("policies = []\nbaselines = false", "policies"),
        ('[[scenarios]]\nname = "x y"', "name"),
        ('[[scenarios]]\nevents = [{ kind = "flood" }]', "flood"),
        ('[[scenarios]]\nevents = [{ kind = "sparse", rate = 1.5 }]', "rate"),
        ('[[scenarios]]\nname = "a"\n[[scenarios]]\nname = "a"', "scenarios"),
        ("seeds = ", "e.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, named):
    """One message that says where."""
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(SimError, match=named):
        load_experiment(path)


def test_a_missing_file_is_told(tmp_path):
    """By its path."""
    with pytest.raises(SimError, match="nowhere"):
        load_experiment(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("struct", [Experiment, DataConfig, *Event.__args__])
def test_every_setting_has_its_meaning_under_it(struct):
    """A string follows each field."""
    import ast
    import inspect

    body = ast.parse(inspect.getsource(struct)).body[0].body
    for place, node in enumerate(body):
        if isinstance(node, ast.AnnAssign):
            after = body[place + 1]
            assert isinstance(after, ast.Expr), node.target.id
            assert isinstance(after.value.value, str)
    assert msgspec.inspect.type_info(struct)
