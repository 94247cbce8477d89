"""Target policies by name: what another policy would have done in each round of a log, as pmfs (n, K)."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.router import DEFAULT_ROUTER
from banditd.errors import BanditdError
from banditd.learner.recovery import replay
from banditd.learner.state import LearnerState
from banditd.policies.registry import PRESETS
from banditd.routing.choose import Terms, choose
from banditd.routing.snapshot import RouterSnapshot
from banditd.store.env import Env
from banditd.store.log import Log
from banditd_sim.environments.engine import Engine
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.router import RouterPolicy, parse_router_policy, router_spec
from banditd_sim.ope import LoggedRounds, category_target, constant_target, uniform_target
from banditd_sim.ope.arrays import Float64, Int64

FORMS: Final = (
    "PRESET[:key=value,...]",
    "constant:MODEL",
    "uniform",
    "category:FILE",
    "snapshot:DIRECTORY[@POSITION]",
    "MODULE:FUNCTION",
)
_MAP_BYTES: Final = 64 << 30


def target_pmf(spec: str, log: LoggedRounds) -> Float64:
    """Return the pmf (n, K) of the target policy that *spec* names (`FORMS`).

    * A preset starts without knowledge and goes through the log: each round's pmf comes from what the rounds before it
      taught, then the logged outcome is learnt. Its value is that of learning from this log while it grows.
    * A category table is a JSON object or a two-column CSV file from categories to models:
      by name where the log has names ("" is a prompt without a category), else by number.
    * A snapshot is what a router (`default`) had learnt at a position of a data directory, its end if none is given.
    * A function takes the log and returns (n, K).

    Raises:
        SimError: An unknown form, a file that cannot be read, or a policy that does not fit the log.
        LogError: An unknown model or category.
    """
    head, colon, rest = spec.partition(":")
    if colon and not rest:
        raise SimError("target", f"one of {', '.join(FORMS)}", repr(spec), reason="UNKNOWN_TARGET")
    if head == "constant" and rest:
        return constant_target(log, rest)
    # Always with the eligible models only; the preset of that name is the same, with a belief that nobody reads.
    if spec == "uniform":
        return uniform_target(log)
    if head == "category" and rest:
        return category_target(log, _category_table(Path(rest), log))
    if head == "snapshot" and rest:
        directory, at, position = rest.rpartition("@")
        if at and position.isdigit():
            return snapshot_target(log, recorded_snapshot(Path(directory), int(position)))
        return snapshot_target(log, recorded_snapshot(Path(rest), None))
    if head in PRESETS:
        return preset_target(log, parse_router_policy(spec, usd_weight=0.0, second_weight=0.0, name="target"))
    if rest:
        return _callable_target(log, head, rest)
    raise SimError("target", f"one of {', '.join(FORMS)}", repr(spec), reason="UNKNOWN_TARGET")


def preset_target(log: LoggedRounds, policy: RouterPolicy) -> Float64:
    """Return the pmf of a preset that learns from the log as it goes.

    Args:
        log: With contexts of 2 to 4,096 values. Rewards are scaled to [0, 1] to be learnt as qualities.
        policy: Its trade-off is used where the log has costs.

    Raises:
        SimError: No context, or one of another size.
    """
    contexts = _contexts(log)
    models = tuple(ModelSpec(k, model_id) for k, model_id in enumerate(log.model_ids))
    engine = Engine(router_spec(policy, contexts.shape[1], None), models, 0)
    terms = Terms(Objective(policy.usd_weight, policy.second_weight))
    quality = (log.reward - log.reward_min) / (log.reward_max - log.reward_min)
    out = np.zeros((len(log), log.models_count))
    for t in range(len(log)):
        snapshot = engine.ready_snapshot()
        out[t] = _one_pmf(snapshot, contexts[t], _eligible(log, t), terms, np.arange(log.models_count))
        position, decision = engine.force(contexts[t], int(log.action[t]))
        cost = None if log.cost is None or np.isnan(log.cost[t]) else float(log.cost[t])
        lesson = Lesson(None if np.isnan(quality[t]) else float(quality[t]), cost)
        if lesson.metrics:
            engine.learn(position, decision, lesson)
    return out


def snapshot_target(log: LoggedRounds, snapshot: RouterSnapshot) -> Float64:
    """Return the pmf of a recorded snapshot, which learns nothing more.

    Raises:
        SimError: The snapshot knows none of the log's models, or encodes other contexts.
    """
    contexts = _contexts(log)
    if snapshot.features is None or snapshot.features.input_dimension != contexts.shape[1]:
        there = None if snapshot.features is None else snapshot.features.input_dimension
        raise SimError("target", f"a snapshot for contexts of {contexts.shape[1]} values", there, reason="DIMENSION")
    index = {model_id: k for k, model_id in enumerate(log.model_ids)}
    column = np.array([index.get(model.model_id, -1) for model in snapshot.models], dtype=np.int64)
    if (column < 0).all():
        raise SimError("target", "a snapshot that knows the log's models", "none of them", reason="UNKNOWN_MODEL")
    out = np.zeros((len(log), log.models_count))
    terms = Terms(snapshot.router.objective)
    for t in range(len(log)):
        out[t] = _one_pmf(snapshot, contexts[t], _eligible(log, t), terms, column)
    return out


def recorded_snapshot(directory: Path, position: int | None) -> RouterSnapshot:
    """Return the snapshot of the router `default` at a position of a data directory, by folding its log up to there.

    Raises:
        SimError: No such directory, or no such router there.
    """
    try:
        with Env(directory, _MAP_BYTES, readonly=True) as env:
            log = Log(env)
            state = replay(LearnerState(), log, position)
            found = state.publish().routers.get(DEFAULT_ROUTER)
    except (BanditdError, OSError) as error:
        raise SimError(f"target: {directory}", "a data directory of banditd", error, reason="NO_SNAPSHOT") from error
    if found is None or found.belief is None:
        raise SimError(f"target: {directory}", f"what {DEFAULT_ROUTER} has learnt", "nothing", reason="NO_SNAPSHOT")
    return found


def _one_pmf(
    snapshot: RouterSnapshot,
    embedding: np.ndarray[Any, np.dtype[np.float16]],
    eligible: np.ndarray[Any, np.dtype[np.bool_]],
    terms: Terms,
    column: Int64,
) -> Float64:
    """Return one round's pmf over the log's models; *column* says which of them each of the snapshot's is, or -1."""
    candidates = np.flatnonzero((column >= 0) & eligible[column]).astype(np.int64)
    if not len(candidates):
        raise SimError("target", "an eligible model that the target knows", "none", reason="NO_ELIGIBLE_MODEL")
    # The number that would draw decides nothing here.
    choice = choose(snapshot, Context(embedding), msgspec.structs.replace(terms, candidates=candidates), 0.0)
    pmf = np.zeros(len(eligible))
    pmf[column[candidates]] = choice.pmf
    return pmf


def _contexts(log: LoggedRounds) -> np.ndarray[Any, np.dtype[np.float16]]:
    if log.context is None or not 2 <= log.context.shape[1] <= 4096:
        got = "none" if log.context is None else log.context.shape[1]
        raise SimError("log.context", "contexts of 2 to 4,096 values", got, reason="NO_CONTEXT")
    return log.context.astype(np.float16)


def _eligible(log: LoggedRounds, t: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.ones(log.models_count, np.bool_) if log.eligible is None else log.eligible[t]


def _category_table(path: Path, log: LoggedRounds) -> Int64:
    """Return the model of each of the log's categories; the table may tell of others as well."""
    try:
        text = path.read_text()
        read = json.loads(text).items() if path.suffix == ".json" else csv.reader(text.splitlines())
        model_of = {str(category): str(model) for category, model in read}
    except (OSError, ValueError, AttributeError) as error:
        raise SimError(f"target: {path}", "a table from categories to models", error, reason="BAD_TABLE") from error
    unknown = next((model for model in model_of.values() if model not in log.model_ids), None)
    if unknown is not None:
        expected = f"models of the log, {', '.join(log.model_ids)}"
        raise SimError(f"target: {path}", expected, repr(unknown), reason="UNKNOWN_MODEL")
    names = log.category_names
    if names is None:
        count = 0 if log.category is None else int(log.category.max()) + 1
        names = tuple(str(number) for number in range(count))
    there = np.zeros(0, np.int64) if log.category is None else np.unique(log.category)
    missing = [names[c] for c in there.tolist() if c >= 0 and names[c] not in model_of]
    if missing:
        got = f"none for {', '.join(repr(name) for name in missing[:8])}"
        raise SimError(f"target: {path}", "a model for every category of the log", got, reason="BAD_TABLE")
    # What does not occur needs no model; any stands for it.
    return np.array([log.model_ids.index(model_of.get(name, log.model_ids[0])) for name in names], dtype=np.int64)


def _callable_target(log: LoggedRounds, module: str, name: str) -> Float64:
    try:
        function: Callable[[LoggedRounds], Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SimError("target", f"one of {', '.join(FORMS)}", error, reason="UNKNOWN_TARGET") from error
    return np.asarray(function(log), dtype=np.float64)
