"""The one entry: rows, refusals, repeatability, and other kinds of reward."""

import math

import numpy as np
import pytest

from banditd_sim.ope import (
    ESTIMATORS,
    INTERVALS,
    LogError,
    LoggedRounds,
    Settings,
    SupportError,
    category_target,
    constant_target,
    evaluate,
    uniform_target,
    with_reward,
)

from .worlds import draw, make_world

WORLD = make_world(0)
CLUSTERS = np.array([0, 0, 1, 1])


def log_and_target(n=2000, seed=0):
    """One log of the world."""
    return draw(WORLD, n, np.random.default_rng(seed))


def test_every_estimator_meets_every_interval():
    """One row each, in order; an interval holds its estimate or says why it is not there."""
    log, target = log_and_target()
    names = tuple(name for name in ESTIMATORS if name != "replay")
    rows = evaluate(log, target, names, INTERVALS, settings=Settings(model_cluster=CLUSTERS, resamples=200))
    assert [(row.estimator, row.interval) for row in rows] == [(e, i) for e in names for i in INTERVALS]
    for row in rows:
        assert math.isfinite(row.value)
        if row.interval == "none" or row.refusal:
            assert math.isnan(row.low)
        elif row.interval == "confidence_sequence":
            assert row.low <= row.high
        else:
            assert row.low <= row.value <= row.high
    refused = {(row.estimator, row.interval) for row in rows if row.refusal}
    assert {("dm", i) for i in INTERVALS[1:]} <= refused
    assert {("snips", "empirical_bernstein"), ("clipped_ips", "empirical_bernstein")} <= refused
    assert not {("ips", i) for i in INTERVALS} & refused
    assert not {("dr", i) for i in INTERVALS} & refused


def test_replay_on_a_uniform_log():
    """And its refusal elsewhere."""
    rng = np.random.default_rng(0)
    n = 900
    log = LoggedRounds(rng.integers(0, 3, n), rng.random(n), np.full(n, 1 / 3), ["a", "b", "c"])
    (row,) = evaluate(log, constant_target(log, "b"), ("replay",))
    assert row.value == pytest.approx(log.reward[log.action == 1].mean())
    other, _ = log_and_target()
    with pytest.raises(SupportError, match="uniform logging"):
        evaluate(other, constant_target(other, 1), ("replay",))


def test_the_same_seed_gives_the_same_rows():
    """Another seed gives other folds and resamples."""
    log, target = log_and_target()
    one, two, three = (
        [(r.value, r.low, r.high) for r in evaluate(log, target, ("dr", "rejection_sampling"), ("bootstrap",), seed=s)]
        for s in (1, 1, 2)
    )
    assert one == two
    assert one != three


def test_given_parameters_are_used():
    """Instead of tuning; and then empirical Bernstein can be had, narrower than without the clip."""
    log, target = log_and_target()
    settings = Settings(parameters=(("clipped_ips", 2.0), ("dr_os", 4.0)))
    rows = evaluate(log, target, ("clipped_ips", "dr_os", "ips"), ("empirical_bernstein",), settings=settings)
    assert [row.parameter for row in rows] == [2.0, 4.0, None]
    assert rows[0].high - rows[0].low < rows[2].high - rows[2].low


def test_a_reward_in_another_range_scales_with_it():
    """Reward 10 r - 3 gives 10 v - 3, and intervals likewise, for the estimators that are equivariant."""
    log, target = log_and_target()
    scaled = with_reward(log, 10.0 * log.reward - 3.0, reward_min=-3.0, reward_max=7.0)
    names, intervals = ("snips", "dr", "sndr"), ("normal", "confidence_sequence")
    for a, b in zip(evaluate(log, target, names, intervals), evaluate(scaled, target, names, intervals), strict=True):
        assert (b.value, b.low, b.high) == pytest.approx(
            (10 * a.value - 3, 10 * a.low - 3, 10 * a.high - 3), rel=1e-6, nan_ok=True
        )


def test_simple_targets():
    """Constant by index and by id, uniform over the eligible, and a category table."""
    log, _ = log_and_target(200)
    assert (constant_target(log, 2) == constant_target(log, "m2")).all()
    assert uniform_target(log)[0].tolist() == [0.25] * 4
    table = np.arange(12) % 4
    assert (np.argmax(category_target(log, table), axis=1) == table[log.category]).all()
    eligible = np.ones((200, 4), bool)
    eligible[:, 3] = log.action == 3
    few = LoggedRounds(log.action, log.reward, log.propensity, log.model_ids, eligible=eligible)
    assert uniform_target(few)[log.action != 3][0].tolist() == [1 / 3, 1 / 3, 1 / 3, 0.0]
    with pytest.raises(LogError, match="target: expected one of"):
        constant_target(log, "m9")
    with pytest.raises(LogError, match=r"category\[\d+\]: expected 0\.\.2"):
        category_target(log, np.array([0, 1, 2]))
    with pytest.raises(LogError, match=r"target_pmf\[\d+\]: expected 0 on ineligible models, got 1 on model 3"):
        evaluate(few, constant_target(few, 3))


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda t: t[:-1], r"target_pmf: expected shape \(2000, 4\), got \(1999, 4\)"),
        (lambda t: np.where(np.arange(4) == 1, np.nan, t), r"target_pmf\[0\]: expected finite"),
        (lambda t: 0.5 * t, r"target_pmf\[0\]: expected a sum of 1, got 0\.5"),
    ],
)
def test_a_bad_target_is_refused(change, message):
    """By field and row."""
    log, target = log_and_target()
    with pytest.raises(LogError, match=message):
        evaluate(log, change(target))


def test_unknown_names_and_missing_needs_are_refused():
    """With what would be right."""
    log, target = log_and_target()
    bare = LoggedRounds(log.action, log.reward, log.propensity, log.model_ids)
    with pytest.raises(LogError, match=r"estimators\[1\]: expected one of dm, ips"):
        evaluate(log, target, ("ips", "ipw"))
    with pytest.raises(LogError, match=r"intervals\[0\]: expected one of none, normal"):
        evaluate(log, target, ("ips",), ("gaussian",))
    with pytest.raises(LogError, match="model_cluster: expected a cluster per model"):
        evaluate(log, target, ("mips",))
    with pytest.raises(LogError, match="pmf: expected the whole logged distribution"):
        evaluate(bare, target, ("mips",), settings=Settings(model_cluster=CLUSTERS))
    with pytest.raises(LogError, match=r"reward_model: expected shape \(2000, 4\)"):
        evaluate(log, target, ("dr",), settings=Settings(reward_model=np.zeros((3, 4))))
    (row,) = evaluate(bare, target, ("dr",), ("confidence_sequence",))
    assert "whole logged pmf" in row.refusal
    (row,) = evaluate(bare, target, ("ips",), ("empirical_bernstein",))
    assert "floor" in row.refusal


def test_missing_rewards_are_refused_unless_one_says_how():
    """A nan is never taken for a number."""
    log, target = log_and_target()
    reward = log.reward.copy()
    reward[::10] = np.nan
    gaps = LoggedRounds(log.action, reward, log.propensity, log.model_ids, context=log.context, pmf=log.pmf)
    with pytest.raises(SupportError, match="200 of 2000 rewards were never observed") as caught:
        evaluate(gaps, target)
    assert caught.value.reason == "REWARDS_MISSING"
    names = tuple(name for name in ESTIMATORS if name != "replay")
    settings = Settings(missing="per_model", model_cluster=CLUSTERS)
    for row in evaluate(gaps, target, names, settings=settings):
        assert row.value == pytest.approx(WORLD.truth, abs=0.15)
        assert row.diagnostics.censored_count == 200


def test_a_model_that_was_never_rated_has_no_support():
    """Drawn often, but without one observed reward: refused if the target plays it, and no nan if it does not."""
    log, target = log_and_target()
    reward = np.where(log.action == 2, np.nan, log.reward)
    gaps = LoggedRounds(log.action, reward, log.propensity, log.model_ids, context=log.context, pmf=log.pmf)
    settings = Settings(missing="per_model")
    with pytest.raises(SupportError, match="never rated"):
        evaluate(gaps, target, settings=settings)
    (row,) = evaluate(gaps, constant_target(gaps, 1), ("snips",), settings=settings)
    assert math.isfinite(row.value)
    assert row.diagnostics.unsupported_mass == 0.0
