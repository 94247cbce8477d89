"""Past: a log that somebody wrote, as the history with which a router begins."""

from __future__ import annotations

import numpy as np

from banditd.domain.context import INPUT_TOKENS_UNKNOWN, Context
from banditd.domain.outcome import Lesson
from banditd_sim.environments.arena import Arena
from banditd_sim.environments.errors import SimError
from banditd_sim.environments.replay import LearningRouter, known
from banditd_sim.ope.log import LoggedRounds


def check_log(log: LoggedRounds, arena: Arena) -> None:
    """Refuse a log that has nothing to teach about *arena*.

    Raises:
        SimError: Contexts of another size, or none; or no model in common.
    """
    size = None if log.context is None else log.context.shape[1]
    if size != arena.dimension:
        expected = f"contexts of {arena.dimension} values, as {arena.name} has them"
        raise SimError("data.warm_log", expected, "none" if size is None else size, reason="DIMENSION")
    if not set(log.model_ids) & set(arena.model_ids):
        expected = f"models of {arena.name}, {', '.join(arena.model_ids[:8])}"
        raise SimError("data.warm_log", expected, ", ".join(log.model_ids[:8]), reason="UNKNOWN_MODEL")


def teach_log(router: LearningRouter, arena: Arena, log: LoggedRounds) -> None:
    """Have *router* learn each round's reward and cost of the logged model, as `ImportHistory` takes others' decisions.

    Rewards are scaled to [0, 1]. Rounds of models that are not there at the start teach nothing.

    Args:
        router: As yet without a decision.
        arena: What it will play.
        log: As `check_log` lets it pass.
    """
    assert log.context is not None
    slot_of = {arena.model_ids[k]: (slot, router.prices(0)[k]) for slot, k in enumerate(router.model_of)}
    quality = (log.reward - log.reward_min) / (log.reward_max - log.reward_min)
    embeddings = log.context.astype(np.float16)
    prompts = []
    for t, action in enumerate(log.action.tolist()):
        slot, price = slot_of.get(log.model_ids[action], (None, None))
        lesson = Lesson(known(quality.item(t)), None if log.cost is None else known(log.cost.item(t)), price)
        if slot is not None and lesson.metrics:
            context = Context(embeddings[t], INPUT_TOKENS_UNKNOWN, _category(log, t))
            prompts.append((context, [(slot, lesson)]))
    router.engine.teach(prompts)


def _category(log: LoggedRounds, t: int) -> str:
    code = -1 if log.category is None or log.category_names is None else log.category.item(t)
    return "" if code < 0 or log.category_names is None else log.category_names[code]
