"""A model whose first answers happened to be bad is tried again; one that cannot pay is not."""

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.decision import Objective
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.routing.choose import Terms
from banditd_sim.environments.engine import Engine

# The middle model is worth 0.95 - 275 * 0.0004 = 0.84, the cheap one 0.75 - 275 * 0.00003 = 0.74; the dear one would
# cost 4.1 a prompt.
QUALITY = np.array([0.75, 0.95, 0.96])
COST_USD = np.array([3e-5, 4e-4, 1.5e-2])
SPREAD = 0.1
BAD = 0.3
TERMS = Terms(Objective(usd_weight=275.0))
HISTORY, PROMPTS = 300, 600


def chosen(seed: int) -> list[int]:
    """Route on after a history of one well-known model and a single, bad answer of the next; return who was chosen."""
    models = tuple(ModelSpec(k, f"model-{k}", Price(cost * 1000.0, cost * 1000.0)) for k, cost in enumerate(COST_USD))
    engine = Engine(RouterSpec("luck", PolicySpec("linucb"), embedding_dimension=8), models, seed)
    rng = np.random.default_rng(seed)
    prompts = rng.normal(size=(HISTORY + PROMPTS, 8)).astype(np.float16)

    def lesson(k: int, quality: float) -> Lesson:
        return Lesson(quality=quality + SPREAD * rng.normal(), cost_usd=float(COST_USD[k]))

    before = [lesson(0, QUALITY[0]) for _ in range(HISTORY)]
    engine.teach([(Context(prompt), [(0, one)]) for prompt, one in zip(prompts, before, strict=False)])
    engine.teach([(Context(prompts[0]), [(1, Lesson(quality=BAD, cost_usd=float(COST_USD[1])))])])
    picked = []
    for prompt in prompts[HISTORY:]:
        position, decision = engine.route(prompt, TERMS)
        k = decision.choice.index
        engine.learn(position, decision, lesson(k, QUALITY[k]))
        picked.append(k)
    return picked


@pytest.mark.parametrize("seed", range(5))
def test_bad_luck_is_made_good(seed: int) -> None:
    """The floor alone, within its share of so small a spend, tries the middle model about once in 1,500 prompts."""
    picked = chosen(seed)
    counts = np.bincount(picked, minlength=3)
    assert picked[-300:].count(1) > 200, counts
    # Whatever its quality, its cost alone is more than it could be worth.
    assert counts[2] <= 5, counts
