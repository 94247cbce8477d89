"""Players: the shipped router at compared pairs, and at a log by rejection; it learns as it does live."""

from __future__ import annotations

import numpy as np

from banditd.domain.comparison import Comparison, Winner
from banditd.domain.context import Context
from banditd.domain.decision import Decision, Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, OutcomeStatus
from banditd.domain.records import ComparisonRecord
from banditd.domain.router import DEFAULT_ROUTER
from banditd.routing.choose import Terms
from banditd_sim.environments.comparisons import Duel, Verdict
from banditd_sim.environments.engine import Engine
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.router import RouterPolicy, router_spec
from banditd_sim.ope.arrays import Bool, Int64
from banditd_sim.ope.log import LoggedRounds
from banditd_sim.table import A_WON, B_WON, TIE, Float16, Table

_WINNER = {A_WON: Winner.A, B_WON: Winner.B, TIE: Winner.TIE}


class PairRouter:
    """Chooses which pair to compare, and learns from the verdict; plays `ComparisonWorld`.

    The first model is drawn from all that were compared on the prompt. The router's own rival may be none that the
    first was compared with, so the rival is drawn from its probabilities among those that were.

    Args:
        table: With embeddings.
        policy: A preset that learns from comparisons, such as `duel`.
        seed: Of its draws.

    Raises:
        SimError: No embeddings.
    """

    def __init__(self, table: Table, policy: RouterPolicy, seed: int) -> None:
        if table.embeddings is None:
            raise SimError(table.name, "embeddings", "none", reason="NO_EMBEDDINGS")
        self._embeddings: Float16 = table.embeddings
        models = tuple(ModelSpec(k, model_id) for k, model_id in enumerate(table.model_ids))
        self.engine = Engine(router_spec(policy, self._embeddings.shape[1], None), models, seed)

    def choose_pair(self, duel: Duel, uniform: float) -> int:
        """Return the index of the pair to compare."""
        models: Int64 = np.unique(duel.pairs)
        terms = Terms(Objective(), compares=True, candidates=models)
        _, decision = self.engine.route(self._embeddings[duel.prompt], terms)
        choice = decision.choice
        assert choice.rival is not None
        first = int(models[choice.index])
        offered = np.flatnonzero((duel.pairs == first).any(axis=1))
        rivals = duel.pairs[offered].sum(axis=1) - first
        weight = np.asarray(choice.rival.pmf)[np.searchsorted(models, rivals)]
        # A rival that the router rules out is better than none: the prompt offers no other.
        weight = weight if weight.sum() > 0.0 else np.ones(len(rivals))
        drawn = np.searchsorted(np.cumsum(weight), uniform * weight.sum(), side="right")
        return int(offered[min(int(drawn), len(offered) - 1)])

    def learn(self, duel: Duel, verdict: Verdict) -> None:
        """Record the comparison, as `RecordComparison` does."""
        winner = _WINNER.get(verdict.winner, Winner.BOTH_BAD)
        comparison = Comparison(verdict.first, verdict.second, winner, verdict.judge)
        context = Context(self._embeddings[duel.prompt])
        self.engine.append(ComparisonRecord(DEFAULT_ROUTER, 0, context, comparison, OutcomeStatus.APPLIED))


class LogRouter:
    """Chooses in logged rounds, and learns from those that rejection kept; plays `LoggedWorld`.

    Args:
        log: With contexts of 2 to 4,096 values. Rewards are scaled to [0, 1] to be learnt as qualities.
        policy: Its trade-off is used where the log has costs.
        seed: Of its draws.

    Raises:
        SimError: No context, or one of another size.
    """

    def __init__(self, log: LoggedRounds, policy: RouterPolicy, seed: int) -> None:
        if log.context is None or not 2 <= log.context.shape[1] <= 4096:
            got = "none" if log.context is None else log.context.shape[1]
            raise SimError("log.context", "contexts of 2 to 4,096 values", got, reason="NO_CONTEXT")
        self._log, self._contexts = log, log.context.astype(np.float16)
        self._objective = Objective(policy.usd_weight, policy.second_weight)
        models = tuple(ModelSpec(k, model_id) for k, model_id in enumerate(log.model_ids))
        self.engine = Engine(router_spec(policy, self._contexts.shape[1], None), models, seed)
        self._last: tuple[int, Decision] | None = None

    def choose(self, t: int, eligible: Bool | None, uniform: float) -> int:
        """Return the model that the router draws; its own draws are seeded, *uniform* is not used."""
        del uniform
        candidates = None if eligible is None else np.flatnonzero(eligible).astype(np.int64)
        self._last = self.engine.route(self._contexts[t], Terms(self._objective, candidates=candidates))
        chosen = self._last[1].choice.index
        return chosen if candidates is None else int(candidates[chosen])

    def learn(self, t: int, model: int, reward: float) -> None:
        """Report the outcome of the decision just made."""
        del model
        assert self._last is not None
        position, decision = self._last
        log = self._log
        quality = (reward - log.reward_min) / (log.reward_max - log.reward_min)
        cost = None if log.cost is None or np.isnan(log.cost[t]) else float(log.cost[t])
        self.engine.learn(position, decision, Lesson(quality, cost))
