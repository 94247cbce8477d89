"""own_log: what a router wrote down while it played, as rounds for off-policy evaluation."""

from __future__ import annotations

import numpy as np

from banditd_sim.environments.replay import LearningRouter
from banditd_sim.environments.rounds import Rounds
from banditd_sim.environments.world import World
from banditd_sim.ope.arrays import Float32
from banditd_sim.ope.log import LoggedRounds


def own_log(
    world: World, router: LearningRouter, rounds: Rounds, *, context: Float32 | None = None, floor: float | None = None
) -> LoggedRounds:
    """Return the measured rounds of *router* as the log that its server would have exported.

    Args:
        world: What it played.
        router: The router, afterwards.
        rounds: What happened.
        context: (N, D) by row of the table, for the reward model; None takes the embeddings. Fewer columns make reward
            models cheaper, and change no propensity.
        floor: Least probability of an eligible model, where the policy has one by construction.
    """
    at = rounds.measured
    decisions = router.engine.log.decisions()[-len(rounds) :][at]
    pmf = np.zeros((len(decisions), len(world.arena.models)))
    slot_model = np.array(router.model_of, dtype=np.int64)
    for t, decision in enumerate(decisions):
        pmf[t, slot_model[decision.slots]] = decision.choice.pmf
    rows = rounds.row[at]
    quality = np.where(rounds.failed[at], np.nan, rounds.reported[at])
    return LoggedRounds(
        action=rounds.model[at].astype(np.int64),
        reward=quality,
        propensity=rounds.propensity[at],
        model_ids=world.arena.model_ids,
        context=(world.arena.embeddings if context is None else context)[rows].astype(np.float32),
        pmf=pmf,
        eligible=None if world.choosable is None else world.choosable[at],
        cost=rounds.cost_usd[at],
        category=world.arena.category[rows],
        category_names=world.arena.categories,
        floor=floor,
    )
