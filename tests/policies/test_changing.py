"""What the beliefs beside the linear one do about change: residuals, alarms, age and siblings."""

import math

import numpy as np
import pytest

from banditd.domain.model import ModelSpec, Price
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec, RouterSpec
from banditd.features.fit import seeded_spec
from banditd.policies.base import ChangingBelief
from banditd.policies.beliefs.factory import make_belief
from banditd.policies.registry import resolve

DIMENSION = 16
MODEL, OTHER = ModelSpec(0, "m", price=Price(1.0, 1.0)), ModelSpec(1, "other", price=Price(1.0, 1.0))
PRESETS = ("category", "knn", "vowpal_squarecb")
pytestmark = pytest.mark.parametrize("preset", PRESETS)


def belief_of(preset):
    """Return a belief that has learnt nothing."""
    policy = resolve(PolicySpec(preset))
    return make_belief(
        policy, seeded_spec(policy.features, DIMENSION, 1), RouterSpec("r", PolicySpec(preset)), (MODEL, OTHER)
    )


def row_of(belief, seed):
    """Return a row: one cluster for `category`, prompts all over the place for the others."""
    width = 3 if type(belief).__name__ == "CategoryBelief" else 2 + DIMENSION
    row = np.random.default_rng(seed).standard_normal(width).astype(np.float32) / 4.0
    row[0] = 1.0
    return row


def taught(preset, n=200, quality=0.7, model=MODEL):
    """Return a belief taught *n* noisy values of every metric, with the residuals."""
    belief = belief_of(preset)
    return belief, learn(belief, n, quality, model)


def learn(belief, n, quality, model=MODEL, seed=5):
    """Teach *n* noisy values of every metric; returns the residuals."""
    rng, residuals = np.random.default_rng(seed), []
    for i in range(n):
        noise = rng.standard_normal(3)
        lesson = Lesson(quality + 0.1 * noise[0], 3e-4 * math.exp(0.3 * noise[1]), 1.0, 500 * math.exp(0.2 * noise[2]))
        residuals.append(belief.learn(model, row_of(belief, i), lesson))
    return np.array(residuals)


def test_residuals_of_a_steady_stream_are_standard(preset):
    """Mean 0 and deviation 1, for every metric, once the prior has been left behind."""
    _, residuals = taught(preset, 600)
    late = residuals[200:]
    np.testing.assert_allclose(late.mean(axis=0), 0.0, atol=0.15)
    np.testing.assert_allclose(late.std(axis=0), 1.0, atol=0.15)


def test_what_is_not_seen_has_no_residual(preset):
    """NaN, or none at all: a detector passes it over."""
    belief, _ = taught(preset, 20)
    residuals = belief.learn(MODEL, row_of(belief, 0), Lesson(latency_ms=400.0))
    assert math.isnan(residuals[0])
    assert math.isnan(residuals[1])
    assert math.isfinite(residuals[2])


def test_a_fall_moves_the_estimate_soon_after_an_alarm(preset):
    """Thirty values outweigh two thousand from before; without the alarm they do not."""
    after = {}
    for widens in (False, True):
        belief, _ = taught(preset, 2000)
        assert isinstance(belief, ChangingBelief)
        if widens:
            belief.widen(MODEL, 0)
        learn(belief, 30, 0.2, seed=6)
        after[widens] = np.mean([belief.freeze((MODEL,)).predict(row_of(belief, s)).quality[0] for s in range(50)])
    assert after[False] > 0.6
    assert after[True] < 0.5


def test_fading_makes_less_certain_and_forgets_no_model(preset):
    """The estimate stays about what it was, and counts of what was learnt stay what they are."""
    belief, _ = taught(preset)
    row = row_of(belief, 3)
    fresh, held = belief.freeze((MODEL, OTHER)).predict(row), belief.summary(MODEL)
    shown = belief.freeze_faded((MODEL, OTHER), {0: 0.25}).predict(row)
    belief.fade(MODEL, 0.25)
    faded = belief.freeze((MODEL, OTHER)).predict(row)
    assert faded.deviation[0] > 1.2 * fresh.deviation[0]
    assert shown.deviation[0] > 1.2 * fresh.deviation[0]
    assert faded.quality[0] == pytest.approx(fresh.quality[0], abs=0.05)
    assert (faded.deviation[1], shown.deviation[1]) == (fresh.deviation[1], fresh.deviation[1])
    assert belief.summary(MODEL).quality_count == held.quality_count


def test_a_sibling_lends_its_estimate_and_not_its_certainty(preset):
    """Whatever guess the new model has; a change of other settings leaves it that."""
    belief, _ = taught(preset)
    row, new = row_of(belief, 3), ModelSpec(7, "new", price=Price(1.0, 1.0), quality_guess=0.1)
    belief.start_like(new, MODEL)
    belief.change_model(new, ModelSpec(7, "new", price=Price(1.0, 1.0), quality_guess=0.1, tags=("t",)))
    said = belief.freeze((MODEL, new)).predict(row)
    assert said.quality[1] == pytest.approx(0.7, abs=0.06)
    assert said.cost_usd[1] == pytest.approx(3e-4, rel=0.4)
    assert said.deviation[1] > 2.0 * said.deviation[0]
    assert belief.summary(new).quality_count == 0


def test_what_changed_goes_through_bytes_and_on(preset):
    """After an alarm, a fade and a sibling the arrays give the same belief, which learns the same."""
    belief, _ = taught(preset)
    belief.widen(MODEL, 0)
    belief.fade(MODEL, 0.6)
    belief.start_like(OTHER, MODEL)
    copy = belief_of(preset)
    copy.load_arrays({name: array.copy() for name, array in belief.to_arrays().items()})
    assert copy.digest() == belief.digest()
    for each in (belief, copy):
        learn(each, 20, 0.5, OTHER, seed=7)
        each.fade(MODEL, 0.5)
    assert copy.digest() == belief.digest()
