"""Estimators in worlds with known values: unbiased with true propensities, caught with wrong ones."""

import numpy as np
import pytest

from banditd_sim.ope import LoggedRounds, Settings, evaluate

from .worlds import averages_to, draw, make_world, wrong_propensities

RUNS = 200
ROUNDS = 400
UNBIASED = ("ips", "dr")


def estimates(world, names, *, logged=None, runs=RUNS, settings=None):
    """Return (runs, names) estimates on independent logs."""
    settings = settings or Settings(limits=None)
    rng = np.random.default_rng(11)
    out = []
    for _ in range(runs):
        log, target = draw(world, ROUNDS, rng, logged=logged)
        out.append([row.value for row in evaluate(log, target, names, ("none",), settings=settings)])
    return np.array(out)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ips_and_dr_average_to_the_truth(seed):
    """Within 4 standard errors over 200 logs, in three worlds."""
    world = make_world(seed)
    values = estimates(world, UNBIASED)
    for j, name in enumerate(UNBIASED):
        assert averages_to(values[:, j], world.truth), name


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_wrong_propensities_are_caught_by_that_check(seed):
    """With a flattened pmf written down, neither ips nor dr passes; dr's reward model is as in `evaluate`."""
    world = make_world(seed)
    wrong = wrong_propensities(world)
    values = estimates(world, UNBIASED, logged=wrong)
    assert not averages_to(values[:, 0], world.truth)
    # dr hides wrong propensities to the extent that its reward model is right; with a model of nothing it cannot.
    nothing = Settings(limits=None, reward_model=np.full((ROUNDS, 4), 0.5))
    blind = estimates(world, ("dr",), logged=wrong, settings=nothing)
    assert not averages_to(blind[:, 0], world.truth)


def test_a_blind_reward_model_leaves_dr_unbiased():
    """The other half of double robustness: with true propensities the model does not matter."""
    world = make_world(0)
    blind = Settings(limits=None, reward_model=np.full((ROUNDS, 4), 0.9))
    assert averages_to(estimates(world, ("dr",), settings=blind)[:, 0], world.truth)


def test_an_exact_reward_model_saves_dr_from_wrong_propensities():
    """The first half: with the true means, the pmf does not matter."""
    world = make_world(0)
    rng = np.random.default_rng(5)
    values = []
    for _ in range(RUNS):
        log, target = draw(world, ROUNDS, rng, logged=wrong_propensities(world))
        settings = Settings(limits=None, reward_model=world.mean[log.category])
        values.append(evaluate(log, target, ("dr",), ("none",), settings=settings)[0].value)
    assert averages_to(values, world.truth)


def test_the_direct_method_is_biased_where_its_model_is_wrong():
    """So the checks above can tell an unbiased estimator from a biased one."""
    world = make_world(1, heat=2.0)
    assert not averages_to(estimates(world, ("dm",))[:, 0], world.truth)


def test_rejection_sampling_and_mips_average_to_the_truth():
    """Mips in a world in which the models of a cluster are equally good."""
    world = make_world(3)
    world.mean[:, 1] = world.mean[:, 0]
    world.mean[:, 3] = world.mean[:, 2]
    settings = Settings(limits=None, model_cluster=np.array([0, 0, 1, 1]))
    values = estimates(world, ("mips", "ips"), settings=settings)
    assert averages_to(values[:, 0], world.truth)
    assert values[:, 0].std() < values[:, 1].std()
    sampled = []
    rng = np.random.default_rng(2)
    for run in range(RUNS):
        log, target = draw(world, ROUNDS, rng)
        sampled.append(evaluate(log, target, ("rejection_sampling",), ("none",), seed=run)[0].value)
    assert averages_to(sampled, world.truth)


def test_estimates_beat_the_mean_reward():
    """Over 30 random targets, every estimator errs less than 1/1.5 of taking the log's mean reward (obp's own bar)."""
    names = ("dm", "ips", "clipped_ips", "snips", "dr", "sndr", "switch_dr", "dr_os")
    rng = np.random.default_rng(8)
    errors, naive = [], []
    for seed in range(30):
        world = make_world(100 + seed)
        log, target = draw(world, 2000, rng)
        rows = evaluate(log, target, names, ("none",))
        errors.append([abs(row.value - world.truth) for row in rows])
        naive.append(abs(log.reward.mean() - world.truth))
    assert (np.mean(errors, axis=0) * 1.5 < np.mean(naive)).all()


@pytest.mark.parametrize("rule", ["mse", "slope"])
def test_tuned_estimators_err_no_more_than_ips(rule):
    """With heavy weights and few rounds, choosing the clip from the log pays."""
    world = make_world(4, heat=2.5, floor_share=0.04)
    names = ("ips", "switch_dr", "dr_os", "clipped_ips")
    settings = Settings(limits=None, tuning=rule)
    values = estimates(world, names, runs=200, settings=settings)
    squared = ((values - world.truth) ** 2).mean(axis=0)
    assert (squared[1:3] < squared[0]).all()
    # Clipping without a reward model biases towards 0, which slope, looking at intervals alone, does not see.
    assert squared[3] < 1.1 * squared[0] or rule == "slope"


def test_rewards_missing_by_model_are_repaired_and_refused_unasked():
    """Rated more often for some models: per_model is unbiased, dropping is not."""
    world = make_world(2)
    # The better a model, the more often it is rated.
    rated = np.array([0.1, 0.3, 0.6, 0.9])[np.argsort(np.argsort((world.target * world.mean).sum(axis=0)))]
    rng = np.random.default_rng(4)
    values = {"per_model": [], "drop": []}
    for _ in range(300):
        full, target = draw(world, ROUNDS, rng)
        seen = rng.random(ROUNDS) < rated[full.action]
        log = type(full)(
            action=full.action,
            reward=np.where(seen, full.reward, np.nan),
            propensity=full.propensity,
            model_ids=full.model_ids,
            context=full.context,
            pmf=full.pmf,
        )
        for missing, list_of in values.items():
            rows = evaluate(log, target, ("ips", "dr"), ("none",), settings=Settings(limits=None, missing=missing))
            list_of.append([row.value for row in rows])
    # The share of rated rounds is estimated from the same log, which leaves a bias of O(1/n) in ips.
    repaired, dropped = np.array(values["per_model"]), np.array(values["drop"])
    assert averages_to(repaired[:, 0], world.truth)
    assert averages_to(repaired[:, 1], world.truth)
    assert not averages_to(dropped[:, 0], world.truth)


def test_rewards_missing_by_context_are_repaired():
    """Rated seldom where the drawn model is good, by category: per_context comes close, the others do not."""
    rng = np.random.default_rng(5)
    values = {"per_context": [], "per_model": [], "drop": []}
    for _ in range(10):
        n = 4000
        category = rng.integers(2, size=n)
        action = rng.integers(2, size=n)
        mean = np.where(action == 1, 0.5, np.where(category == 0, 0.9, 0.2))
        reward = (rng.random(n) < mean).astype(float)
        seen = rng.random(n) < np.where(category == 0, 0.1, 0.9)
        log = LoggedRounds(
            action=action,
            reward=np.where(seen, reward, np.nan),
            propensity=np.full(n, 0.5),
            model_ids=("a", "b"),
            category=category,
            pmf=np.full((n, 2), 0.5),
        )
        target = np.tile([1.0, 0.0], (n, 1))
        for missing, list_of in values.items():
            (row,) = evaluate(log, target, ("snips",), ("none",), settings=Settings(limits=None, missing=missing))
            list_of.append(row.value)
    found = {missing: float(np.mean(list_of)) for missing, list_of in values.items()}
    print(found)
    assert found["per_context"] == pytest.approx(0.55, abs=0.03)
    assert found["per_model"] < 0.35
    assert found["drop"] < 0.35
