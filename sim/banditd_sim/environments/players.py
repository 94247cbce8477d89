"""Players: the shipped router at a log by rejection; it learns as it does live."""

from __future__ import annotations

import numpy as np

from banditd.domain.decision import Decision, Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.routing.choose import Terms
from banditd_sim.environments.engine import Engine
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.router import RouterPolicy, router_spec
from banditd_sim.ope.arrays import Bool
from banditd_sim.ope.log import LoggedRounds


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
