"""Work: plays one task. Runs in a worker, touches no file, and gives back what is to be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from banditd_sim.environments.baselines import Known, is_baseline, play_baseline
from banditd_sim.environments.pairs import PairRouter, replay_pairs
from banditd_sim.environments.past import teach_log
from banditd_sim.environments.replay import LearningRouter, replay
from banditd_sim.environments.rounds import Rounds
from banditd_sim.environments.router import parse_router_policy
from banditd_sim.environments.timeline import timeline
from banditd_sim.environments.world import World
from banditd_sim.experiments.config import Experiment
from banditd_sim.experiments.measure import Yardstick, measure
from banditd_sim.experiments.plan import Subject, Task
from banditd_sim.ope.arrays import Float64, Int64


@dataclass(frozen=True, slots=True)
class Result:
    """What a task gives.

    Attributes:
        columns: Arrays of equal length, by name: all rounds of all seeds, seed after seed.
        figures: One dictionary per seed.
    """

    columns: dict[str, npt.NDArray[Any]]
    figures: list[dict[str, Any]]


def work(experiment: Experiment, subject: Subject, task: Task) -> Result:
    """Play all seeds of *task*."""
    arena, parts = subject.arena.plain(), subject.parts
    scenario = timeline(experiment.scenarios[task.scenario], arena, parts.test, f"scenarios[{task.scenario}]")
    history = parts.warm if len(parts.warm) else parts.learn
    yardstick = Yardstick(experiment.usd_weight, experiment.second_weight, task.budget_usd, history)
    known = Known(history if len(history) else parts.test, experiment.usd_weight)
    taught = None if is_baseline(task.policy) else _taught(experiment, subject, task)
    figures, columns = [], []
    for seed in task.seeds:
        world = World(arena, scenario, parts.learn, parts.test, seed)
        if taught is None:
            rounds = play_baseline(task.policy, world, known, task.budget_usd)
        else:
            play = replay if arena.comparisons is None else replay_pairs
            rounds = play(world, taught.fork(seed))
        measured = measure(world, rounds, yardstick)
        figures.append({"seed": seed, **measured.figures})
        columns.append(_columns(seed, world, rounds, measured.regret, task.budget_usd))
    return Result({name: np.concatenate([one[name] for one in columns]) for name in columns[0]}, figures)


def _taught(experiment: Experiment, subject: Subject, task: Task) -> LearningRouter:
    """Return the router with its history; seeds fork from it."""
    arena, parts = subject.arena.plain(), subject.parts
    scenario = timeline(experiment.scenarios[task.scenario], arena, parts.test)
    policy = parse_router_policy(task.policy, usd_weight=experiment.usd_weight, second_weight=experiment.second_weight)
    router = LearningRouter(arena, scenario, policy, task.budget_usd, task.seeds[0])
    if subject.past is not None:
        teach_log(router, arena, subject.past)
    if len(parts.warm):
        (router if arena.comparisons is None else PairRouter(arena, router)).teach(parts.warm)
    return router


def _columns(
    seed: int, world: World, rounds: Rounds, regret: Float64, budget_usd: float | None
) -> dict[str, npt.NDArray[Any]]:
    n = len(rounds)
    whole = np.full(n, np.nan)
    whole[rounds.measured] = regret
    budget = np.nan if budget_usd is None else budget_usd
    number: Int64 = np.arange(n) - rounds.learn_count
    compared = {} if rounds.rival is None else {"rival": rounds.rival}
    return {
        "seed": np.full(n, seed, np.int32),
        "round": number.astype(np.int32),
        "prompt": rounds.row.astype(np.int32),
        "model": rounds.model,
        **compared,
        "propensity": rounds.propensity,
        "quality": rounds.quality,
        "cost_usd": rounds.cost_usd,
        "latency_ms": rounds.latency_ms,
        "failed": rounds.failed,
        "reported_quality": rounds.reported,
        "regret": whole,
        "budget_usd": budget * world.scenario.budget_factor[world.segment],
    }
