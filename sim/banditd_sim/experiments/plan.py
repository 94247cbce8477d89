"""Plan: an experiment as tasks, each a run of seeds of one policy, which is the unit that is kept and not repeated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from banditd_sim.environments.arena import Arena, arena_of
from banditd_sim.environments.baselines import BASELINES, BUDGETED, CONSTANT_PREFIX, is_baseline
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.pairs import check_compares
from banditd_sim.environments.past import check_log
from banditd_sim.environments.replay import LearningRouter, check_playable, rows_with
from banditd_sim.environments.router import parse_router_policy, router_spec
from banditd_sim.environments.scenario import PromptMix, Scenario
from banditd_sim.environments.timeline import timeline
from banditd_sim.experiments.config import Experiment
from banditd_sim.experiments.splits import Parts, parts_of
from banditd_sim.ope.arrays import Int64
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.table import Table

# Seeds per task of a learning policy: its history is learnt once for all of them. More make fewer, longer tasks.
SEEDS_PER_TASK: Final = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """A data set, ready to be played.

    Attributes:
        arena: Its arrays.
        parts: Its rows; those that nobody can be measured on are left out.
        left_out_count: How many that were.
        past: Log that a router learns before everything else; None for none.
    """

    arena: Arena
    parts: Parts
    left_out_count: int
    past: LoggedRounds | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Seeds of one policy at one budget in one scenario on one data set.

    Attributes:
        dataset: Index of the subject.
        scenario: Index of the scenario.
        policy: As in the experiment.
        budget_usd: None for none.
        seeds: Consecutive.
    """

    dataset: int
    scenario: int
    policy: str
    budget_usd: float | None
    seeds: tuple[int, ...]

    def path(self, dataset: str, scenario: str) -> str:
        """Return the path, without ending, of what is kept of it."""
        budget = "none" if self.budget_usd is None else f"{self.budget_usd!r}"
        return f"{slug(dataset)}/{scenario}/{slug(self.policy)}/{budget}/seeds-{self.seeds[0]:05d}-{self.seeds[-1]:05d}"


def subject_of(table: Table, experiment: Experiment, past: LoggedRounds | None = None) -> Subject:
    """Return a data set with its parts; prompts without any measured model are left out.

    Raises:
        SimError: Nothing to play, or a log that does not fit.
    """
    arena = arena_of(table)
    if past is not None:
        check_log(past, arena)
    parts = parts_of(table, experiment.data)
    everybody = np.ones(len(arena.models), np.bool_)
    drop = experiment.data.incomplete == "drop" and arena.comparisons is None
    kept = Parts(
        rows_with(arena, parts.warm, everybody), *(_playable(arena, rows, drop) for rows in (parts.learn, parts.test))
    )
    if not len(kept.test):
        wanted = "a prompt with every model's outcome, or data.incomplete = 'restrict'" if drop else "a measured prompt"
        raise SimError(table.name, wanted, "none", reason="NO_OUTCOMES")
    left_out = sum(len(a) - len(b) for a, b in zip(_each(parts), _each(kept), strict=True))
    return Subject(arena, kept, left_out, past)


def plan(experiment: Experiment, subjects: Sequence[Subject]) -> list[Task]:
    """Return the tasks in the order in which tables list them, after checking what can be checked before hours of work.

    Raises:
        SimError: An unknown policy, a scenario that does not fit a data set, or a budget that a policy has no use for.
    """
    tasks: list[Task] = []
    seeds = tuple(range(experiment.seeds))
    blocks = [seeds[start : start + SEEDS_PER_TASK] for start in range(0, len(seeds), SEEDS_PER_TASK)]
    for d, subject in enumerate(subjects):
        for s, scenario in enumerate(experiment.scenarios):
            laid = timeline(scenario, subject.arena, subject.parts.test, f"scenarios[{s}]")
            check_playable(laid, subject.arena, subject.parts.test.tolist())
            if subject.arena.comparisons is not None:
                _check_told_by_comparisons(experiment, scenario, f"scenarios[{s}]")
            for place, policy in enumerate(experiment.policies):
                field = f"policies[{place}]"
                if is_baseline(policy):
                    tasks += _baseline_tasks(d, s, policy, experiment, subject, field)
                    continue
                router = parse_router_policy(
                    policy, usd_weight=experiment.usd_weight, second_weight=experiment.second_weight, name=field
                )
                if subject.arena.comparisons is not None:
                    check_compares(LearningRouter(subject.arena, laid, router, None, 0))
                for budget in experiment.budgets:
                    router_spec(router, subject.arena.dimension, budget)
                    tasks += [Task(d, s, policy, budget, block) for block in blocks]
            if experiment.baselines:
                named = set(experiment.policies)
                every = [*(f"{CONSTANT_PREFIX}{model_id}" for model_id in subject.arena.model_ids), *BASELINES]
                for policy in every:
                    if policy not in named:
                        tasks += _baseline_tasks(d, s, policy, experiment, subject, "baselines")
    return tasks


def _check_told_by_comparisons(experiment: Experiment, scenario: Scenario, field: str) -> None:
    """Refuse what a verdict tells a router nothing of.

    Raises:
        SimError: A budget, or an event other than a mix of prompts.
    """
    if experiment.budgets_usd:
        expected = "no budget where comparisons are replayed, which tell no cost"
        raise SimError("budgets_usd", expected, experiment.budgets_usd, reason="COMPARISONS_ONLY")
    for place, event in enumerate(scenario.events):
        if not isinstance(event, PromptMix):
            expected = "prompt_mix, the only event that comparisons are replayed under"
            kind = event.__struct_config__.tag
            raise SimError(f"{field}.events[{place}]", expected, repr(kind), reason="COMPARISONS_ONLY")


def _baseline_tasks(
    dataset: int, scenario: int, policy: str, experiment: Experiment, subject: Subject, field: str
) -> list[Task]:
    if policy.startswith(CONSTANT_PREFIX):
        subject.arena.index_of(policy.removeprefix(CONSTANT_PREFIX), field)
    seeds = tuple(range(experiment.seeds))
    budgets = experiment.budgets if policy in BUDGETED else (None,)
    return [Task(dataset, scenario, policy, budget, seeds) for budget in budgets]


def slug(name: str) -> str:
    """Return a name for a folder: readable, and distinct for distinct names."""
    plain = re.sub(r"[^A-Za-z0-9_.=-]+", "-", name).strip("-.")[:60]
    return plain if plain == name else f"{plain}-{hashlib.blake2b(name.encode(), digest_size=3).hexdigest()}"


def _playable(arena: Arena, rows: Int64, drop: bool) -> Int64:
    measured = arena.measured[rows]
    return rows[measured.all(axis=1) if drop else measured.any(axis=1)]


def _each(parts: Parts) -> tuple[Sequence[int], ...]:
    return (parts.warm.tolist(), parts.learn.tolist(), parts.test.tolist())
