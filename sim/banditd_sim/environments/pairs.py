"""Pairs: the shipped router plays compared prompts, is told who won of the pair that it named, and no more."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import numpy as np

from banditd.domain.comparison import Comparison, Winner
from banditd.domain.outcome import OutcomeStatus
from banditd.domain.records import ComparisonRecord
from banditd.domain.router import DEFAULT_ROUTER
from banditd.policies.base import ComparingBelief
from banditd_sim.environments.arena import Arena
from banditd_sim.environments.comparisons import ComparisonWorld, Duel, Verdict
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.replay import LearningRouter
from banditd_sim.environments.rounds import Rounds
from banditd_sim.environments.world import World
from banditd_sim.ope.arrays import Int64
from banditd_sim.table import A_WON, B_WON, TIE

_WINNER = {A_WON: Winner.A, B_WON: Winner.B, TIE: Winner.TIE}


class PairRouter:
    """Chooses which pair to compare, and learns from the verdict; plays `ComparisonWorld`.

    The first model is drawn from all that were compared on the prompt. The router's own rival may be none that the
    first was compared with, so the rival is drawn from its probabilities among those that were.

    Args:
        arena: The data.
        router: On the same data, with every model in its catalogue from the start.

    Raises:
        SimError: The router's policy does not learn from comparisons.
    """

    def __init__(self, arena: Arena, router: LearningRouter) -> None:
        check_compares(router)
        self._arena = arena
        self._router = router
        self.drawn: list[tuple[int, int, float]] = []
        """Per round: the first of the pair, its rival, and the propensity of the first."""

    def teach(self, rows: Int64) -> None:
        """Learn a history: every comparison on the prompts *rows*, in the order in which they were made."""
        comparisons = self._arena.comparisons
        assert comparisons is not None
        for at in np.flatnonzero(np.isin(comparisons.prompt, rows)).tolist():
            a, b = int(comparisons.model_a[at]), int(comparisons.model_b[at])
            winner, judge = int(comparisons.winner[at]), comparisons.judge[at]
            self._record(int(comparisons.prompt[at]), (a, b), winner, judge)

    def choose_pair(self, duel: Duel, uniform: float) -> int:
        """Return the index of the pair to compare."""
        arena, models = self._arena, np.unique(duel.pairs)
        terms = msgspec.structs.replace(self._router.terms, compares=True, candidates=models)
        context = arena.context_of(duel.prompt)
        _, decision = self._router.engine.route(context.embedding, terms, context.input_tokens, context.category)
        choice = decision.choice
        assert choice.rival is not None
        first = int(models[choice.index])
        offered = np.flatnonzero((duel.pairs == first).any(axis=1))
        rivals = duel.pairs[offered].sum(axis=1) - first
        weight = np.asarray(choice.rival.pmf)[np.searchsorted(models, rivals)]
        # A rival that the router rules out is better than none: the prompt offers no other.
        weight = weight if weight.sum() > 0.0 else np.ones(len(rivals))
        drawn = int(np.searchsorted(np.cumsum(weight), uniform * weight.sum(), side="right"))
        drawn = min(drawn, len(offered) - 1)
        self.drawn.append((first, int(rivals[drawn]), choice.propensity))
        return int(offered[drawn])

    def learn(self, duel: Duel, verdict: Verdict) -> None:
        """Record the comparison, as `RecordComparison` does."""
        self._record(duel.prompt, (verdict.first, verdict.second), verdict.winner, verdict.judge)

    def _record(self, row: int, pair: tuple[int, int], winner: int, judge: str) -> None:
        context = self._arena.context_of(row)
        comparison = Comparison(*pair, _WINNER.get(winner, Winner.BOTH_BAD), judge)
        self._router.engine.append(ComparisonRecord(DEFAULT_ROUTER, 0, context, comparison, OutcomeStatus.APPLIED))


def replay_pairs(world: World, router: LearningRouter) -> Rounds:
    """Play all rounds: name a pair, hear the verdict, learn.

    A round counts with the first of the pair, which is whom the router would have answered.

    Raises:
        SimError: As `PairRouter`.
    """
    arena = world.arena
    assert arena.comparisons is not None
    player = PairRouter(arena, router)
    begin = time.process_time()
    verdicts = ComparisonWorld(arena.comparisons, world.seed, world.rows).play(player)
    seconds = time.process_time() - begin
    first, rival, propensity = (np.array(column) for column in zip(*player.drawn, strict=True))
    return Rounds(
        row=world.rows,
        model=first.astype(np.int16),
        propensity=propensity,
        quality=arena.quality[world.rows, first],
        cost_usd=arena.cost_usd[world.rows, first],
        latency_ms=arena.latency_ms[world.rows, first],
        failed=np.zeros(len(world), np.bool_),
        reported=np.array(list(_heard(verdicts, first))),
        learn_count=world.learn_count,
        seconds=seconds,
        rival=rival.astype(np.int16),
    )


def check_compares(router: LearningRouter) -> None:
    """Refuse a router that would pass comparisons over.

    Raises:
        SimError: Its policy does not learn from comparisons.
    """
    belief = router.engine.router.belief
    if not isinstance(belief, ComparingBelief):
        preset = router.engine.router.policy.preset
        expected = "one that learns from comparisons, such as duel or linucb"
        raise SimError("policy", expected, repr(preset), reason="CANNOT_COMPARE")


def _heard(verdicts: list[Verdict], first: Int64) -> Iterator[float]:
    """Yield what each verdict was worth to the model that the router named first."""
    for verdict, k in zip(verdicts, first.tolist(), strict=True):
        yield verdict.worth[0 if verdict.first == k else 1]
