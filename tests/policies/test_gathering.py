"""Lessons learnt many at a time: the same bits as one by one."""

import numpy as np
import pytest

from banditd.domain.context import Context
from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec
from banditd.features.encode import encode
from banditd.features.fit import seeded_spec
from banditd.features.spec import FeatureKind
from banditd.learner import gathering
from banditd.learner.gathering import Gathering
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import resolve

DIMENSION = 8
MODELS = tuple(ModelSpec(slot, f"m{slot}", Price(1.0, 4.0)) for slot in range(3))
SPEC = seeded_spec(FeatureKind.LINEAR, DIMENSION, 1)


def _lessons(count):
    """Lessons of all kinds; some follow one another on the same context, some have no quality."""
    rng = np.random.default_rng(4)
    found = []
    context = None
    for _ in range(count):
        if context is None or rng.random() < 0.7:
            context = Context(rng.normal(size=DIMENSION).astype(np.float16), int(rng.integers(-1, 900)))
        seen = rng.random(3) < 0.7
        lesson = Lesson(
            quality=float(rng.random()) if seen[0] else None,
            cost_usd=float(rng.random()) if seen[1] or not seen.any() else None,
            latency_ms=float(rng.random()) if seen[2] else None,
            weight=float(rng.choice([1.0, 1.0, 0.3, 4.0])),
        )
        found.append((MODELS[rng.integers(3)], context, lesson))
    return found


@pytest.mark.parametrize("parameters", [{}, {"retention": 0.99}, {"shrinkage": 0.0}])
@pytest.mark.parametrize("lessons_max", [1, 50, 1024])
def test_many_at_a_time_is_one_by_one(parameters, lessons_max, monkeypatch):
    """Bit for bit, across the counts at which the prior is chosen anew, wherever the batches end."""
    monkeypatch.setattr(gathering, "_LESSONS_MAX", lessons_max)
    policy = resolve(PolicySpec("linucb", parameters))
    one_by_one, together = (LinearBelief(policy, SPEC, 0.5) for _ in range(2))
    gathered = Gathering(together, SPEC)
    for model, context, lesson in _lessons(700):
        one_by_one.learn(model, encode(SPEC, context), lesson)
        gathered.add(model, context, lesson)
    gathered.flush()
    assert together.digest() == one_by_one.digest()
    assert together.freeze(MODELS).learnt_count == one_by_one.freeze(MODELS).learnt_count
    assert together.slope_penalty == one_by_one.slope_penalty


def test_what_is_gathered_is_learnt_at_the_flush():
    """Not before, and once."""
    belief = LinearBelief(resolve(PolicySpec("linucb")), SPEC, 0.5)
    gathered = Gathering(belief, SPEC)
    for lesson in _lessons(10):
        gathered.add(*lesson)
    before = belief.digest()
    gathered.flush()
    after = belief.digest()
    gathered.flush()
    assert before != after == belief.digest()
