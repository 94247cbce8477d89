"""Replay: the shipped router plays a world, and sees of each round what the chosen model gave, no more."""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from banditd.domain.decision import Decision, Objective
from banditd.domain.outcome import Failure, Lesson
from banditd.domain.records import ModelChange, RouterChange
from banditd.learner.rounds import is_playable
from banditd.routing.choose import Terms
from banditd_sim.environments.arena import Arena, model_spec
from banditd_sim.environments.engine import Engine, slots_to_candidates
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.prompts import Prompts
from banditd_sim.environments.rounds import Rounds
from banditd_sim.environments.router import RouterPolicy, router_spec
from banditd_sim.environments.stretches import Stretches
from banditd_sim.environments.timeline import Timeline
from banditd_sim.environments.world import Report, World
from banditd_sim.ope.arrays import Bool, Float64, Int64


class LearningRouter:
    """The shipped router on one data set: an engine, and which of its slots is which model of the table.

    Args:
        arena: The data.
        scenario: Laid over the measured rounds; who is there at its start is in the first catalogue.
        policy: What the router runs.
        budget_usd: USD per request on average at the start; None for none.
        seed: Of its draws.
    """

    def __init__(
        self, arena: Arena, scenario: Timeline, policy: RouterPolicy, budget_usd: float | None, seed: int
    ) -> None:
        self._arena = arena
        self._scenario = scenario
        self._policy = policy
        self._budget_usd = budget_usd
        self.slot_of: dict[int, int] = {}
        self.model_of: list[int] = []
        for k in np.flatnonzero(scenario.at_start()):
            self._give_slot(int(k))
        models = tuple(model_spec(arena.models[k], slot, scenario.price[0][k]) for slot, k in enumerate(self.model_of))
        factor = float(scenario.budget_factor[0])
        budget = None if budget_usd is None else budget_usd * factor
        self.engine = Engine(router_spec(policy, arena.dimension, budget), models, seed)
        self.terms = Terms(Objective(policy.usd_weight, policy.second_weight))

    def fork(self, seed: int) -> LearningRouter:
        """Return a router with the same past and draws of its own."""
        other = object.__new__(LearningRouter)
        other.__dict__ = dict(self.__dict__)
        other.slot_of, other.model_of = dict(self.slot_of), list(self.model_of)
        other.engine = self.engine.fork(seed)
        return other

    def teach(self, rows: Int64) -> None:
        """Learn a history: every measured outcome of *rows*, of the models that are there at the start."""
        arena, prompts = self._arena, []
        for row in rows.tolist():
            lessons = [
                (
                    slot,
                    Lesson(
                        quality=float(arena.quality[row, k]),
                        cost_usd=float(arena.cost_usd[row, k]),
                        price_mtok_usd=self._blended(0, k),
                        latency_ms=known(float(arena.latency_ms[row, k])),
                    ),
                )
                for slot, k in enumerate(self.model_of)
                if arena.measured[row, k]
            ]
            prompts.append((arena.context_of(row), lessons))
        self.engine.teach(prompts)

    def enter(self, segment: int) -> None:
        """Let the next segment of the scenario begin: models come, change their price and go; the budget changes."""
        old, new, scenario = segment - 1, segment, self._scenario
        for k in range(len(self._arena.models)):
            was, now = bool(scenario.present[old, k]), bool(scenario.present[new, k])
            model = self._arena.models[k]
            if was and not now:
                slot = self.slot_of.pop(k)
                self.engine.append(ModelChange(model.model_id, slot, None))
            elif now and (not was or scenario.price[old][k] != scenario.price[new][k]):
                slot = self.slot_of[k] if was else self._give_slot(k)
                spec = model_spec(model, slot, scenario.price[new][k])
                self.engine.append(ModelChange(model.model_id, slot, spec))
        if self._budget_usd is not None and scenario.budget_factor[old] != scenario.budget_factor[new]:
            budget = self._budget_usd * float(scenario.budget_factor[new])
            spec_of_router = router_spec(self._policy, self._arena.dimension, budget)
            self.engine.append(RouterChange(spec_of_router.router_id, spec_of_router))

    def terms_for(self, choosable: Bool) -> Terms:
        """Return the terms of a prompt for which only some models were measured: (K,)."""
        slots = [slot for k, slot in self.slot_of.items() if choosable[k]]
        return msgspec.structs.replace(self.terms, candidates=slots_to_candidates(self.engine.router_snapshot, slots))

    def learn(self, position: int, decision: Decision, report: Report, segment: int) -> None:
        """Tell the engine what came of a decision."""
        if report.failure is not _WELL:
            self.engine.fail(position, decision, report.failure)
            return
        # As in the server, the price is the one in force when the outcome arrives.
        k = self.model_of[decision.slot]
        price = self._blended(segment, k) if k in self.slot_of else None
        lesson = Lesson(report.quality, report.cost_usd, price, report.latency_ms)
        self.engine.learn(position, decision, lesson)

    def prices(self, segment: int) -> list[float | None]:
        """Return the blended price of each of the table's models in a segment."""
        return [self._blended(segment, k) for k in range(len(self._arena.models))]

    def _blended(self, segment: int, k: int) -> float | None:
        price = self._scenario.price[segment][k]
        return None if price is None else price.blended_mtok_usd

    def _give_slot(self, k: int) -> int:
        self.slot_of[k] = len(self.model_of)
        self.model_of.append(k)
        return self.slot_of[k]


def replay(world: World, router: LearningRouter) -> Rounds:
    """Play all rounds: choose, reveal, update.

    What is due before a round's decision has arrived; what is never due is never seen.

    Raises:
        SimError: A round in which no model that can be chosen was measured.
    """
    n = len(world)
    played = _Played(np.empty(n, np.int16), np.empty(n), np.full(n, np.nan))
    begin = time.process_time()
    _play(world, router, played)
    seconds = time.process_time() - begin
    at, k = np.arange(n), played.model.astype(np.int64)
    quality, cost = world.outcomes
    failed = world.failed[at, k] if world.scenario.failure_rate.any() else np.zeros(n, np.bool_)
    return Rounds(
        row=world.rows,
        model=played.model,
        propensity=played.propensity,
        quality=quality[at, k],
        cost_usd=cost[at, k],
        latency_ms=world.arena.latency_ms[world.rows, k],
        failed=failed,
        reported=played.reported,
        learn_count=world.learn_count,
        seconds=seconds,
    )


@dataclass(frozen=True, slots=True)
class _Played:
    """Columns of n rounds that the loop fills."""

    model: npt.NDArray[np.int16]
    propensity: Float64
    reported: Float64


def _play(world: World, router: LearningRouter, played: _Played) -> None:
    """Play a world round by round; where nothing can happen between rounds, as many in one go as the router can."""
    n = len(world)
    arena, engine, choosable = world.arena, router.engine, world.choosable
    segments, prompts = world.segment.tolist(), Prompts(arena, world.rows)
    restarts = {world.learn_count + at for at in world.scenario.restarts}
    waiting: list[tuple[int, int, int, Decision, Report]] = []
    # Round and position of what will be known never to come; all wait as long, so that it is in order.
    expiring: deque[tuple[int, int]] = deque()
    segment = 0
    stretches = None
    if world.is_plain and choosable is None and is_playable(engine.router, engine.ready_snapshot(), router.terms):
        stretches = Stretches(world, prompts, router.model_of, router.prices(0))
    t = 0
    while t < n:
        if segments[t] != segment:
            segment = segments[t]
            router.enter(segment)
        if t in restarts:
            engine.restart()
        while waiting and waiting[0][0] <= t:
            _, made, position, decision, report = heapq.heappop(waiting)
            router.learn(position, decision, report, segment)
            played.reported[made] = np.nan if report.quality is None else report.quality
        while expiring and expiring[0][0] <= t:
            engine.expire(expiring.popleft()[1])
        terms = router.terms if choosable is None else _terms(router, choosable[t], t)
        snapshot = engine.ready_snapshot()
        assert snapshot.features is not None
        if stretches is not None:
            together = stretches.play(engine, t, snapshot, terms)
            if together is not None:
                to = t + len(together[0])
                played.model[t:to], played.propensity[t:to] = together
                played.reported[t:to] = arena.quality[world.rows[t:to], together[0]]
                t = to
                continue
        row = prompts.row(t, snapshot.features)
        position, decision = engine.decide(snapshot, prompts.contexts[t], row, terms)
        k = router.model_of[decision.slot]
        played.model[t], played.propensity[t] = k, decision.choice.propensity
        report = world.report(t, k, world.truth(t, k))
        if report.quality is None and report.failure is _WELL and world.expiry_rounds and decision.learnable:
            expiring.append((t + world.expiry_rounds, position))
        if report.due == t + 1:
            router.learn(position, decision, report, segment)
            if report.quality is not None:
                played.reported[t] = report.quality
        elif report.due < n:
            heapq.heappush(waiting, (report.due, t, position, decision, report))
        t += 1


def _terms(router: LearningRouter, choosable: Bool, t: int) -> Terms:
    if not choosable.any():
        raise SimError(f"round {t}", "a model that was measured on the prompt", "none", reason="NOT_MEASURED")
    return router.terms_for(choosable)


def known(value: float) -> float | None:
    """Return a number of a table; None where there is none."""
    return None if math.isnan(value) else value


def rows_with(arena: Arena, rows: Int64, present: Bool) -> Int64:
    """Return those of *rows* on which at least one model of *present* (K,) was measured."""
    return rows[(arena.measured[rows] & present).any(axis=1)]


def check_playable(scenario: Timeline, arena: Arena, rows: Sequence[int]) -> None:
    """Refuse prompts for which a segment of the scenario leaves nobody.

    Raises:
        SimError: Names the prompt.
    """
    measured = arena.measured[np.asarray(rows, dtype=np.int64)]
    for s in range(len(scenario.starts)):
        lost = ~(measured & scenario.present[s]).any(axis=1)
        if lost.any():
            row = int(np.asarray(rows)[int(np.argmax(lost))])
            raise SimError(f"{arena.name}[{row}]", "a measured model in the catalogue", "none", reason="NOT_MEASURED")


# Looking up a member of an enumeration takes as long as a record.
_WELL = Failure.NONE
