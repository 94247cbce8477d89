"""Replay of logged bandit data by rejection sampling: rounds are kept where policy and log agree.

Li, Chu, Langford and Wang, "Unbiased offline evaluation of contextual-bandit-based news article recommendation
algorithms", WSDM 2011, arXiv:1003.5956, algorithm 2: with a log that chose uniformly, the kept rounds are a sample of
what the policy would have seen live, so it may learn from them. A log that did not choose uniformly is first thinned:
a round is offered with probability p_min / p, where p is its propensity and p_min the least one, which leaves every
model logged equally often whatever the context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from banditd_sim.environments.errors import SimError
from banditd_sim.ope.arrays import Bool, Float64, Int64
from banditd_sim.ope.log import LoggedRounds


class LogPlayer(Protocol):
    """A policy that can be replayed on a log."""

    def choose(self, t: int, eligible: Bool | None, uniform: float) -> int:
        """Return the model that it chooses in logged round *t*; *eligible* is (K,) or None for all."""
        ...

    def learn(self, t: int, model: int, reward: float) -> None:
        """Take in the reward of a round that was kept."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """What rejection sampling kept.

    Attributes:
        rounds: Int64 (m,), logged rounds that were kept, in order.
        reward: Float64 (m,).
        offered_count: Rounds that thinning left.
    """

    rounds: Int64
    reward: Float64
    offered_count: int

    @property
    def mean(self) -> float:
        """Mean reward: the estimate of the policy's value."""
        return float(self.reward.mean())


class LoggedWorld:
    """A log to be replayed by rejection.

    Args:
        log: Rounds with propensities and rewards, all observed.
        seed: Of thinning and of the policy's draws.
        propensity_min: Least propensity that an eligible model can have, in (0, 1/2]; None takes the log's floor, or
            the least one seen. Rounds with a smaller one are offered always, which biases towards them.

    Raises:
        SimError: Censored rewards, or a bound outside its range.
    """

    def __init__(self, log: LoggedRounds, seed: int, propensity_min: float | None = None) -> None:
        if not log.observed.all():
            row = int(np.argmin(log.observed))
            raise SimError(f"reward[{row}]", "observed rewards", "a censored one", reason="CENSORED")
        least = propensity_min if propensity_min is not None else log.floor
        least = float(log.propensity.min()) if least is None else least
        if not 0.0 < least <= 1.0:
            raise SimError("propensity_min", "in (0, 1]", least, reason="OUT_OF_RANGE")
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
        self.log = log
        self._offered = np.flatnonzero(rng.random(len(log)) * log.propensity < least)
        self._uniform = rng.random(len(log))

    def play(self, player: LogPlayer) -> Accepted:
        """Let *player* choose in every offered round; it learns from those where it chose what the log had.

        Raises:
            SimError: It never agreed with the log.
        """
        log, kept = self.log, []
        for t in self._offered.tolist():
            eligible = None if log.eligible is None else log.eligible[t]
            k = player.choose(t, eligible, float(self._uniform[t]))
            if k == log.action[t]:
                player.learn(t, k, float(log.reward[t]))
                kept.append(t)
        if not kept:
            raise SimError("log", "rounds in which policy and log agree", "none", reason="NO_SUPPORT")
        rounds = np.array(kept, dtype=np.int64)
        return Accepted(rounds, log.reward[rounds], len(self._offered))
