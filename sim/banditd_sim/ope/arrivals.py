"""How likely each round's reward was to be observed: the router's own model of arrivals, fitted on the log."""

from __future__ import annotations

from typing import Final

import numpy as np

from banditd.domain.context import Context
from banditd.learner.arrival import Arrival
from banditd_sim.ope.arrays import Float64
from banditd_sim.ope.log import LoggedRounds

# Rewards of rounds that are less likely to be observed weigh as if they were as likely as this.
_CHANCE_MIN: Final = 0.02
_HALVES: Final = 2


def observed_chances(log: LoggedRounds) -> Float64:
    """Return the chance of being observed of each round, shape (n,): of each half by a model of the other half."""
    contexts = [_context(log, i) for i in range(len(log))]
    chances, observed = np.empty(len(log)), log.observed
    for half in range(_HALVES):
        arrival = Arrival()
        for i in range(1 - half, len(log), _HALVES):
            arrival.note(int(log.action[i]), contexts[i], arrived=bool(observed[i]))
        for i in range(half, len(log), _HALVES):
            chances[i] = arrival.probability(int(log.action[i]), contexts[i])
    return np.maximum(chances, _CHANCE_MIN)


def _context(log: LoggedRounds, i: int) -> Context:
    embedding = np.zeros(1, np.float16) if log.context is None else log.context[i].astype(np.float16)
    return Context(embedding, category="" if log.category is None else str(int(log.category[i])))
