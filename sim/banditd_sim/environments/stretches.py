"""Stretches: the rounds of a world in which nothing happens, played many in one call."""

from __future__ import annotations

import numpy as np

from banditd.routing.choose import Terms
from banditd.routing.snapshot import RouterSnapshot
from banditd_sim.environments.engine import Engine, Told
from banditd_sim.environments.prompts import Prompts
from banditd_sim.environments.world import World
from banditd_sim.ope.arrays import Float64, Int64


class Stretches:
    """Plays a plain world's rounds as far as they can be played in one call.

    Args:
        world: Plain, and every model is measured on every prompt.
        prompts: Its prompts.
        model_of: The table's model of each slot.
        prices: Blended prices of the table's models; None where there is none.
    """

    def __init__(self, world: World, prompts: Prompts, model_of: list[int], prices: list[float | None]) -> None:
        assert world.is_plain
        assert world.choosable is None
        self._world = world
        self._prompts = prompts
        self._model_of = np.array(model_of)
        self._prices = prices

    def play(self, engine: Engine, t: int, snapshot: RouterSnapshot, terms: Terms) -> tuple[Int64, Float64] | None:
        """Play from round *t* on.

        Args:
            engine: Who plays.
            t: The first round.
            snapshot: The engine's `ready_snapshot`.
            terms: What is asked for.

        Returns:
            The table's models and the propensities of as many rounds as were played, at least one; None where the round
            has to be played by itself.
        """
        assert snapshot.features is not None
        most = engine.rounds_max
        if most == 0:
            return None
        rows, models = self._prompts.rows(t, snapshot.features)[:most], self._model_of[snapshot.slots]
        to = t + len(rows)
        quality, cost_usd = self._world.outcomes
        # Not of all rounds at once: a latency that nobody measured takes one number of memory.
        latency_ms = self._world.arena.latency_ms[self._world.rows[t:to, None], models]
        prices = [self._prices[k] for k in models.tolist()]
        told = Told(quality[t:to, models], cost_usd[t:to, models], latency_ms, prices)
        stretch = engine.play(snapshot, self._prompts.contexts[t:to], rows, told, terms)
        if stretch is None:
            return None
        return models[stretch.index], stretch.pmf[np.arange(len(stretch.index)), stretch.index]
