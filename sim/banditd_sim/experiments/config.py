"""What an experiment is: one TOML file, or the same from the command line. Under each field stands its meaning.

```toml
datasets = ["pareto"]
policies = ["linucb", "lin_thompson:deviation_scale=0.4"]
usd_weight = 100.0
seeds = 20

[data]
warm_split = "train"
test_split = "test"

[[scenarios]]
name = "outage"
events = [{ kind = "outage", model = "large", at = 0.33, until = 0.66 }]
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from banditd_sim.environments.errors import SimError
from banditd_sim.environments.scenario import PLAIN, Scenario

Weight = Annotated[float, Meta(ge=0, le=1e9)]


class DataConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Which prompts teach and which are measured."""

    warm_split: str = ""
    """Split whose prompts go in first, with every model's outcome. Empty: none, the router starts cold."""
    warm_log: str = ""
    """Log that goes in before that, with what was logged of each round: one model's reward and cost. A name or path as
    `ope` takes it, with contexts of the data's size; models go by name. Empty: none."""
    learn_split: str = ""
    """Split that is played before the measured one, with the chosen model's outcome only. Empty: none."""
    test_split: str = ""
    """Split that is measured. Empty: every prompt that is in neither of the others."""
    warm_fraction: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Share of the prompts that becomes the history where the data set has no split `warm_split`; the rest is
    measured."""
    split_seed: Annotated[int, Meta(ge=0, le=2**31)] = 0
    """Decides which prompts these are."""
    incomplete: Annotated[str, Meta(pattern="^(drop|restrict)$")] = "drop"
    """What to do with played prompts that were not measured on every model. `drop`: leave them out, so that every
    policy and every line is measured on the same prompts. `restrict`: offer only the models that were measured on
    them; a constant model is then replaced by the cheapest where it is missing, and lines are means over different
    prompts. Data that has nothing but comparisons is always restricted: to the models that were compared."""
    embedder: str = ""
    """For data without embeddings: `ngram`, which is taken if nothing is said, `minilm`, or `module:callable`;
    `column:NAME` reads them from a column of the prompts' file."""


class Experiment(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides the result."""

    datasets: list[str] = []
    """Names or paths."""
    policies: list[str] = msgspec.field(default_factory=lambda: ["linucb"])
    """`PRESET` or `PRESET:key=value,...`; keys are the preset's parameters, usd_weight, second_weight, quality_guess.
    Baselines may be named as well."""
    baselines: bool = True
    """Whether every baseline is run: each constant, uniform, category_table, prompt_length, fixed_mix, oracle."""
    budgets_usd: list[Annotated[float, Meta(gt=0)]] = []
    """Mean USD per request."""
    unlimited: bool | None = None
    """Whether to run without a budget, too. Absent: only if no budget is given."""
    usd_weight: Weight = 0.0
    """What a dollar is worth in quality."""
    second_weight: Weight = 0.0
    """What a second is worth in quality."""
    seeds: Annotated[int, Meta(ge=1, le=100_000)] = 20
    """Seeds 0, 1, ...: each has its own order of prompts, luck and draws."""
    data: DataConfig = DataConfig()
    """Which prompts."""
    scenarios: Annotated[list[Scenario], Meta(min_length=1)] = msgspec.field(default_factory=lambda: [PLAIN])
    """What happens meanwhile; each scenario is run on its own."""

    @property
    def budgets(self) -> tuple[float | None, ...]:
        """Budgets in order; None is without."""
        unlimited = not self.budgets_usd if self.unlimited is None else self.unlimited
        return (*self.budgets_usd, *((None,) if unlimited else ()))


def load_experiment(path: Path) -> Experiment:
    """Read an experiment file.

    Raises:
        SimError: It is not there, is no TOML, or has an unknown key or a value out of range.
    """
    try:
        return check(msgspec.toml.decode(path.read_bytes(), type=Experiment))
    except OSError as error:
        raise SimError(str(path), "a readable file", error.strerror, reason="NO_FILE") from error
    except msgspec.MsgspecError as error:
        raise SimError(str(path), "an experiment", error, reason="BAD_CONFIG") from error


def experiment_of(values: dict[str, Any]) -> Experiment:
    """Return the experiment of plain values, checked like a file's.

    Raises:
        SimError: As `load_experiment`.
    """
    try:
        return check(msgspec.convert(values, type=Experiment))
    except msgspec.MsgspecError as error:
        raise SimError("experiment", "valid values", error, reason="BAD_CONFIG") from error


def check(experiment: Experiment) -> Experiment:
    """Refuse what the types let pass; returns the experiment."""
    for field, values in (
        ("policies", experiment.policies),
        ("budgets_usd", experiment.budgets_usd),
        ("datasets", experiment.datasets),
        ("scenarios", [scenario.name for scenario in experiment.scenarios]),
    ):
        if len(set(values)) != len(values):
            raise SimError(field, "distinct entries", values, reason="DUPLICATE")
    if not experiment.policies and not experiment.baselines:
        raise SimError("policies", "at least one policy or baseline", "none", reason="EMPTY")
    if experiment.unlimited is False and not experiment.budgets_usd:
        raise SimError("budgets_usd", "a budget, or unlimited", "neither", reason="EMPTY")
    return experiment


def to_plain(experiment: Experiment) -> dict[str, Any]:
    """Return every setting as JSON values, defaults included."""
    plain: dict[str, Any] = msgspec.to_builtins(experiment)
    return plain
