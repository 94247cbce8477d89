"""The change detector: sums by hand, how rarely it is wrong, how soon it is right."""

import math

import numpy as np
import pytest

from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.router import PolicySpec
from banditd.features.fit import seeded_spec
from banditd.features.spec import FeatureKind
from banditd.kernels.detection import CLIP, SLACK, THRESHOLD, WARM_UP, watch_metrics
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.registry import resolve

WARM = (0.0, 0.0, WARM_UP)


def watch(sums, residual):
    """Return the sums of one metric after a residual; of the others nothing is seen."""
    every = np.array([sums] * 3)
    watch_metrics(every, math.nan, residual, math.nan)
    assert every[[0, 2]].tolist() == [list(sums)] * 2
    return tuple(every[1].tolist())


def alarms(sums):
    """Return whether these sums of any one metric raise an alarm."""
    found = [watch_metrics(np.insert(np.zeros((2, 3)), at, sums, axis=0), *[math.nan] * 3) for at in range(3)]
    assert len(set(found)) == 1
    return found[0]


def run_length(residuals, sums=WARM):
    """Return how many residuals raise an alarm; the length of the sequence where none does."""
    for i, residual in enumerate(residuals, 1):
        sums = watch(sums, float(residual))
        if alarms(sums):
            return i
    return len(residuals)


def test_the_sums_by_hand():
    """Page's recursion on both sides."""
    sums = watch(WARM, 1.5)
    assert sums == (1.0, 0.0, WARM_UP + 1)
    sums = watch(sums, 0.25)
    assert sums == (0.75, 0.0, WARM_UP + 2)
    sums = watch(sums, -2.0)
    assert sums == (0.0, 1.5, WARM_UP + 3)
    assert watch(sums, math.nan) == sums


def test_nothing_is_summed_while_the_noise_is_a_guess():
    """However wild it is."""
    sums = (0.0, 0.0, 0)
    for _ in range(WARM_UP):
        sums = watch(sums, 50.0)
    assert sums == WARM


def test_no_three_outliers_raise_an_alarm():
    """One counts for no more than the clip."""
    assert run_length([1e9] * 3) == 3
    assert 3 * (CLIP - SLACK) < THRESHOLD < 4 * (CLIP - SLACK) + 1e-9


@pytest.mark.parametrize("shift, at_most", [(1.0, 24), (1.5, 13), (2.0, 9), (-1.5, 13)])
def test_a_shift_is_found_soon(shift, at_most):
    """Mean delay over 400 runs, from sums of zero: the worst case."""
    rng = np.random.default_rng(5)
    lengths = [run_length(rng.standard_normal(400) + shift) for _ in range(400)]
    assert np.mean(lengths) < at_most


def test_false_alarms_are_as_rare_as_the_formula_says():
    """Average run length of independent normal residuals: Siegmund's 70,000 within a factor of 1.5."""
    b = THRESHOLD + 1.166
    siegmund = (math.exp(2 * SLACK * b) - 2 * SLACK * b - 1) / (4 * SLACK**2)
    assert siegmund == pytest.approx(70_000, rel=0.02)
    # Many runs side by side, each from zero again after its alarm: steps over alarms estimate the run length.
    rng = np.random.default_rng(1)
    runs, steps = 2000, 2500
    rise, fall = np.zeros(runs), np.zeros(runs)
    found = 0
    for _ in range(steps):
        z = np.clip(rng.standard_normal(runs), -CLIP, CLIP)
        rise, fall = np.maximum(0, rise + z - SLACK), np.maximum(0, fall - z - SLACK)
        out = (rise > THRESHOLD) | (fall > THRESHOLD)
        found += int(out.sum())
        rise[out] = fall[out] = 0.0
    # The clip takes the tails, so that they are a little rarer still.
    assert siegmund / 1.5 < runs * steps / found < siegmund * 2.5


def test_the_vectorised_sums_of_the_last_test_are_those_of_the_detector():
    """Else it measures another one."""
    rng = np.random.default_rng(2)
    sums, rise, fall = WARM, 0.0, 0.0
    for z in np.clip(2 * rng.standard_normal(500), -CLIP, CLIP):
        rise, fall = max(0.0, rise + z - SLACK), max(0.0, fall - z - SLACK)
        sums = watch(sums, float(z))
        assert sums[:2] == (rise, fall)


FEATURES = seeded_spec(FeatureKind.LINEAR, 2, 1)


def taught(n=60, retention=1.0, **guess):
    """Return a belief taught *n* values of every metric of model 0, with rows and values."""
    policy = resolve(PolicySpec("linucb", {"retention": retention, "slope_penalty": 2.0, "intercept_penalty": 0.5}))
    belief, model = LinearBelief(policy, FEATURES, 0.5), ModelSpec(0, "m", **guess)
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((n, FEATURES.row_width)).astype(np.float32)
    rows[:, 0] = 1.0
    y = np.clip(0.7 + 0.1 * rows[:, 1] + 0.1 * rng.standard_normal(n), 0, 1)
    for row, value in zip(rows, y, strict=True):
        belief.learn(model, row, Lesson(quality=float(value), latency_ms=float(100 * value + 1)))
    return belief, model, rows, y


def test_residuals_are_errors_over_predicted_deviations():
    """Against batch ridge regression and the noise as it was before."""
    belief, model, rows, y = taught(59)
    penalties, prior = np.array([0.5, 2, 2, 2]), np.array([0.5, 0, 0, 0])
    quality = belief._arms[0].quality
    x = np.array([1.0, 0.5, -0.5, 0.25], np.float32)
    gram = rows.T.astype(float) @ rows + np.diag(penalties)
    theta = np.linalg.solve(gram, rows.T.astype(float) @ y + penalties * prior)
    deviation = math.sqrt(quality.noise_variance * (1 + x @ np.linalg.solve(gram, x.astype(float))))
    residuals = belief.learn(model, x, Lesson(quality=0.9))
    assert residuals[0] == pytest.approx((0.9 - x @ theta) / deviation)
    assert math.isnan(residuals[1])
    assert math.isnan(residuals[2])


@pytest.mark.parametrize("share", [0.8, 0.1, 1e-6])
def test_fading_keeps_a_share_of_the_evidence_and_all_of_the_prior(share):
    """A becomes share (A - P) + P and the estimate the one of data of that weight."""
    belief, model, rows, y = taught()
    penalties, prior = np.array([0.5, 2, 2, 2]), np.array([0.5, 0, 0, 0])
    noise = belief._arms[0].regressions[0].noise_variance
    belief.fade(model, share)
    regression = belief._arms[0].regressions[0]
    rows = rows.astype(float)
    gram = share * rows.T @ rows + np.diag(penalties)
    np.testing.assert_allclose(regression.a_inv, np.linalg.inv(gram), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        regression.theta, np.linalg.solve(gram, share * rows.T @ y + penalties * prior), rtol=1e-6, atol=1e-9
    )
    assert regression.noise_variance == pytest.approx(noise)
    np.testing.assert_array_equal(regression.a_inv, regression.a_inv.T)


def test_an_alarm_frees_the_level_of_its_metric_and_nothing_else():
    """The estimate stays, its level is as uncertain as at first, other metrics keep their bits."""
    belief, model, _, _ = taught()
    before = {name: array.copy() for name, array in belief.to_arrays().items()}
    belief.widen(model, 0)
    after = belief.to_arrays()
    for name, array in after.items():
        if name not in {"0/QUALITY/a_inv", "slope_prior/gram/0", "slope_prior/moment/0", "slope_prior/totals/0"}:
            np.testing.assert_array_equal(array, before[name], err_msg=name)
    grown = after["0/QUALITY/a_inv"] - before["0/QUALITY/a_inv"]
    assert grown[0, 0] == pytest.approx(1 / 0.5)
    grown[0, 0] = 0.0
    assert not grown.any()


def test_an_alarm_leaves_no_more_than_a_hundred_values():
    """With much evidence the rest is faded as well."""
    belief, model, rows, _ = taught(500)
    belief.widen(model, 0)
    inverse = belief._arms[0].regressions[0].a_inv.copy()
    inverse[0, 0] -= 2.0
    share = 100 / 510
    gram = share * rows.T.astype(float) @ rows + np.diag([0.5, 2, 2, 2])
    np.testing.assert_allclose(inverse, np.linalg.inv(gram), rtol=1e-6, atol=1e-9)


def test_a_sibling_lends_its_estimate_and_not_its_certainty():
    """Whatever guess the new model has."""
    belief, model, _, _ = taught()
    new = ModelSpec(7, "new", sibling_model_id="m")
    belief.start_like(new, model)
    ours, theirs = belief._arms[7].regressions, belief._arms[0].regressions
    np.testing.assert_array_equal(ours[0].theta, theirs[0].theta)
    np.testing.assert_array_equal(ours[0].a_inv, np.diag([2.0, 0.5, 0.5, 0.5]))
    assert ours[0].noise_variance == pytest.approx(theirs[0].noise_variance)
    assert ours[0].count == 0
    # Nothing was learnt of the sibling's cost, so there is nothing to lend.
    untaught = LinearBelief(resolve(PolicySpec("linucb")), FEATURES, 0.5)._arm(new)
    np.testing.assert_array_equal(ours[1].prior, untaught.cost.prior)
    level = float(ours[0].theta[0])
    belief.change_model(new, ModelSpec(7, "new", enabled=False, sibling_model_id="m"))
    assert float(belief._arms[7].regressions[0].theta[0]) == level


def test_what_was_not_seen_for_long_is_less_certain_up_to_the_prior():
    """Deviations grow by one over the root of the share."""
    belief, model, rows, _ = taught()
    other = ModelSpec(1, "never seen")
    fresh = belief.freeze((model, other)).predict(rows[0])
    half = belief.freeze_faded((model, other), {0: 0.25, 1: 0.25}).predict(rows[0])
    gone = belief.freeze_faded((model, other), {0: 1e-12}).predict(rows[0])
    np.testing.assert_allclose(half.deviation, fresh.deviation * [2.0, 1.0])
    np.testing.assert_allclose(gone.deviation, fresh.deviation * [math.sqrt(61), 1.0])
    np.testing.assert_array_equal(half.quality, fresh.quality)
