"""Diagnostics, and refusing where there is no support."""

import dataclasses
import math

import numpy as np
import pytest

from banditd_sim.ope import (
    LoggedRounds,
    SupportError,
    SupportLimits,
    as_target,
    constant_target,
    diagnose,
    evaluate,
    propensity_calibration,
    require_support,
    weighted,
)

from .worlds import draw, make_world, wrong_propensities


def diagnosed(log, target):
    """Diagnostics of a target on a log."""
    checked = as_target(log, target)
    return diagnose(log, checked, weighted(log, checked))


def test_hand_worked_diagnostics():
    """Weights 2, 2, 0, 1: ess 25 / 9, mean 5 / 4."""
    log = LoggedRounds(
        action=[0, 1, 0, 1],
        reward=[1.0, 0.0, 1.0, 0.5],
        propensity=[0.5, 0.25, 0.5, 0.75],
        model_ids=["a", "b"],
        pmf=[[0.5, 0.5], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75]],
    )
    d = diagnosed(log, [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.25, 0.75]])
    assert (d.rounds_count, d.censored_count, d.model_counts) == (4, 0, (2, 2))
    assert d.ess == pytest.approx(25.0 / 9.0)
    assert d.weight_mean == 1.25
    assert d.weight_mean_z == pytest.approx(0.25 / (math.sqrt(9.0 / 4.0 - 1.5625) / 2.0))
    assert (d.weight_largest, d.weight_bound) == (2.0, 2.0)
    assert d.match_rate == pytest.approx((1.0 + 0.5 + 0.0 + 0.75) / 4)
    assert (d.unsupported_rounds_share, d.unsupported_mass) == (0.0, 0.0)


def test_the_logging_policy_itself_has_full_support():
    """Every weight is 1: ess is n exactly and nothing is refused."""
    log, _ = draw(make_world(0), 500, np.random.default_rng(0))
    d = diagnosed(log, log.pmf)
    assert d.ess == pytest.approx(500.0)
    assert (d.weight_mean_z, d.weight_largest) == pytest.approx((0.0, 1.0), abs=1e-9)
    require_support(d)


def test_a_model_that_was_never_logged_is_refused():
    """The reason names how much of the target it is."""
    world = make_world(0)
    world.logging[:, 2] = 0.0
    world.logging[:] /= world.logging.sum(axis=1, keepdims=True)
    log, target = draw(world, 500, np.random.default_rng(0), with_floor=False)
    with pytest.raises(SupportError, match="had probability 0 in the log") as caught:
        evaluate(log, target)
    assert caught.value.reason == "NO_SUPPORT"
    with pytest.raises(SupportError, match="never does what the log did"):
        evaluate(log, constant_target(log, 2))
    # A log that does not say so shows it in its mean weight.
    bare = LoggedRounds(log.action, log.reward, log.propensity, log.model_ids)
    heavy = np.tile([0.1, 0.1, 0.7, 0.1], (500, 1))
    with pytest.raises(SupportError) as caught:
        evaluate(bare, heavy, ("ips",))
    assert caught.value.reason == "WEIGHTS_OFF"


def test_wrong_propensities_are_refused_and_true_ones_are_not():
    """By the chi-square test on 3,000 rounds; over 200 true logs its p-values are uniform."""
    world = make_world(0)
    rng = np.random.default_rng(1)
    log, target = draw(world, 3000, rng, logged=wrong_propensities(world))
    with pytest.raises(SupportError) as caught:
        evaluate(log, target)
    assert caught.value.reason in {"PROPENSITIES_OFF", "WEIGHTS_OFF"}
    lenient = SupportLimits(weight_mean_z_max=math.inf)
    with pytest.raises(SupportError, match="do not follow the logged probabilities"):
        require_support(diagnosed(log, target), lenient)
    calibrations = [propensity_calibration(draw(world, 1000, rng)[0]) for _ in range(200)]
    for statistic, degrees in (("statistic_by_model", "degrees_by_model"), ("statistic_by_bin", "degrees_by_bin")):
        values = np.array([getattr(c, statistic) for c in calibrations])
        dof = getattr(calibrations[0], degrees)
        # A chi-square has mean dof and variance 2 dof.
        assert abs(values.mean() - dof) < 4.0 * math.sqrt(2.0 * dof / 200)
        assert values.var() == pytest.approx(2.0 * dof, rel=0.6)


def test_too_small_an_effective_sample_is_refused():
    """A target far from the log, on few rounds."""
    world = make_world(0, floor_share=0.02, heat=3.0)
    log, _ = draw(world, 60, np.random.default_rng(0))
    target = np.eye(4)[np.argmin(log.pmf, axis=1)]
    with pytest.raises(SupportError):
        evaluate(log, target)
    fine = diagnosed(log, log.pmf)
    with pytest.raises(SupportError, match=r"effective sample: 12\.0 of 60 rounds") as caught:
        require_support(dataclasses.replace(fine, ess=12.0))
    assert caught.value.reason == "TOO_FEW_EFFECTIVE_ROUNDS"


def test_a_deterministic_log_has_a_calibration_without_freedom():
    """Certain draws have no variance; what contradicts them was refused when the log was made."""
    pmf = np.tile([1.0, 0.0], (50, 1))
    log = LoggedRounds(np.zeros(50, int), np.ones(50), np.ones(50), ["a", "b"], pmf=pmf)
    c = propensity_calibration(log)
    assert (c.statistic_by_model, c.degrees_by_model, c.p_value) == (0.0, 0, 1.0)
