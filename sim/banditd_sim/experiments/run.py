"""run: all tasks of an experiment over processes or machines; can be interrupted and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import joblib

from banditd_sim.environments.errors import SimError
from banditd_sim.experiments.config import Experiment
from banditd_sim.experiments.keep import Folder
from banditd_sim.experiments.plan import Subject, Task, plan, subject_of
from banditd_sim.experiments.work import Result, work
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.table import Table

BACKENDS: Final = ("loky", "ray")
# With a back end that gives results only all at once, so many tasks per process are given out at a time: what an
# interruption can lose.
_BATCH_PER_JOB: Final = 4

# Called after each task with tasks done, tasks in all, and what was done.
Progress = Callable[[int, int, str], None]


def run(
    experiment: Experiment,
    tables: Sequence[Table],
    out: Path,
    *,
    past: LoggedRounds | None = None,
    jobs: int = 1,
    backend: str = "loky",
    progress: Progress | None = None,
) -> tuple[Folder, list[Task], list[Subject]]:
    """Run what is not finished yet.

    Args:
        experiment: What.
        tables: One per data set, embedded.
        out: Folder; made if absent. What is finished in it is kept.
        past: The log that `data.warm_log` names.
        jobs: Processes, >= 1; 1 stays in this one.
        backend: Of joblib: `loky` on this machine, `ray` on a Ray cluster (the package's extra `ray`).
        progress: Told of each finished task.

    Returns:
        The folder, all tasks in order, and the data sets as they were played.

    Raises:
        SimError: Something cannot be run as asked for, or *out* holds another experiment.
    """
    if backend not in BACKENDS:
        raise SimError("backend", f"one of {', '.join(BACKENDS)}", repr(backend), reason="UNKNOWN_BACKEND")
    subjects = [subject_of(table, experiment, past) for table in tables]
    names = [subject.arena.name for subject in subjects]
    if len(set(names)) != len(names):
        raise SimError("datasets", "data sets with distinct names", names, reason="DUPLICATE")
    tasks = plan(experiment, subjects)
    folder = Folder(out, experiment, subjects)
    todo = [task for task in tasks if not folder.is_finished(task)]
    done = len(tasks) - len(todo)
    told = progress or _silent
    told(done, len(tasks), f"{done} tasks were finished before" if done else "")
    for task, result in _results(experiment, subjects, todo, jobs, backend):
        folder.store(task, result)
        done += 1
        told(done, len(tasks), _label(task, subjects, experiment))
    return folder, tasks, subjects


def _results(
    experiment: Experiment, subjects: list[Subject], todo: list[Task], jobs: int, backend: str
) -> Iterator[tuple[Task, Result]]:
    if backend == "ray":
        _register_ray()
        size = _BATCH_PER_JOB * max(jobs, 1)
        with joblib.parallel_backend("ray", n_jobs=jobs):
            for start in range(0, len(todo), size):
                batch = todo[start : start + size]
                yield from joblib.Parallel()(
                    joblib.delayed(_work)(experiment, subjects[task.dataset], task) for task in batch
                )
        return
    if jobs == 1 or len(todo) < 2:
        for task in todo:
            yield _work(experiment, subjects[task.dataset], task)
        return
    # Big arrays go to the workers as memory maps: one copy for all. Results come as they are ready.
    parallel = joblib.Parallel(n_jobs=jobs, backend=backend, return_as="generator_unordered", batch_size=1)
    yield from parallel(joblib.delayed(_work)(experiment, subjects[task.dataset], task) for task in todo)


def _work(experiment: Experiment, subject: Subject, task: Task) -> tuple[Task, Result]:
    return task, work(experiment, subject, task)


def _silent(done: int, total: int, label: str) -> None:
    """Tell nobody."""
    del done, total, label


def _register_ray() -> None:
    try:
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise SimError(
            "backend", "the package ray to be installed (pip install 'banditd-sim[ray]')", "none", reason="NO_RAY"
        ) from error
    register: Any = register_ray
    register()


def _label(task: Task, subjects: list[Subject], experiment: Experiment) -> str:
    budget = "" if task.budget_usd is None else f" at {task.budget_usd:g} USD"
    scenario = experiment.scenarios[task.scenario].name
    return (
        f"{subjects[task.dataset].arena.name} {scenario}: {task.policy}{budget}, seeds {task.seeds[0]}-{task.seeds[-1]}"
    )
