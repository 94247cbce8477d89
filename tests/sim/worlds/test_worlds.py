"""Synthetic worlds: outcomes average to the stated truth, and each world is of its kind."""

import numpy as np
import pytest

from banditd_sim.worlds import (
    WORLDS,
    WorldError,
    clustered_world,
    drifting_world,
    linear_world,
    make_world,
    nonlinear_world,
)

ALL = pytest.mark.parametrize("name", WORLDS)


def _explained(x, y):
    """Return the share of the variance of *y* that is linear in *x*."""
    x = np.column_stack([np.ones(len(x)), x])
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return 1.0 - residual.var() / y.var()


@ALL
def test_outcomes_average_to_the_truth(name):
    """Within 4 standard errors, per model, for quality and for cost; nothing is clipped."""
    world = WORLDS[name](prompts=20_000)
    for drawn, mean in ((world.table.quality, world.mean_quality), (world.table.cost_usd, world.mean_cost_usd)):
        error = drawn - mean
        assert (np.abs(error.mean(axis=0)) <= 4 * error.std(axis=0) / np.sqrt(20_000)).all()
    assert world.mean_quality.min() > 0.0
    assert world.mean_quality.max() < 1.0


@ALL
def test_noise_is_as_large_as_asked(name):
    """A share of the greatest possible deviation."""
    world = WORLDS[name](prompts=20_000, noise=0.2)
    scaled = (world.table.quality - world.mean_quality) / np.sqrt(world.mean_quality * (1 - world.mean_quality))
    assert scaled.std() == pytest.approx(0.2, rel=0.02)


@ALL
def test_optimum_is_the_best_there_is(name):
    """No constant reaches it; the best choice of each round does, by the truth."""
    world = WORLDS[name](prompts=2_000)
    rows = np.arange(2_000)
    for weight in (0.0, 50.0):
        utility = world.mean_quality - weight * world.mean_cost_usd
        assert utility[rows, world.best(weight)].mean() == pytest.approx(world.optimum(weight), abs=1e-12)
        assert world.optimum(weight) > utility.mean(axis=0).max() + 0.01


@ALL
def test_seed_decides_everything(name):
    """Equal seeds, equal worlds, bit for bit; other seeds, other worlds."""
    first, again, other = (WORLDS[name](prompts=50, seed=seed) for seed in (1, 1, 2))
    assert first.table.fingerprint == again.table.fingerprint
    assert np.array_equal(first.mean_quality, again.mean_quality)
    assert first.table.fingerprint != other.table.fingerprint


@ALL
def test_truth_cannot_be_written(name):
    """It is shared by all who measure against it."""
    with pytest.raises(ValueError, match="read-only"):
        WORLDS[name](prompts=5).mean_quality[0, 0] = 1.0


def test_linear_world_is_linear():
    """In the embeddings as the table holds them."""
    world = linear_world(prompts=1_000)
    x = world.table.embeddings.astype(float)
    assert all(_explained(x, world.mean_quality[:, k]) > 1 - 1e-9 for k in range(5))


def test_nonlinear_world_is_a_function_but_not_linear():
    """A linear belief misses much of it; near neighbours have near qualities, so it can be learnt."""
    world = nonlinear_world(prompts=3_000)
    x = world.table.embeddings.astype(float)
    assert max(_explained(x, world.mean_quality[:, k]) for k in range(5)) < 0.9
    distance = ((x[:300, None] - x[None]) ** 2).sum(axis=2)
    nearest = np.argsort(distance, axis=1)[:, 1]
    assert np.abs(world.mean_quality[:300] - world.mean_quality[nearest]).max() < 0.15


def test_clustered_world_is_its_categories():
    """The kind decides, and the embedding shows the kind."""
    world = clustered_world(prompts=2_000, clusters=6)
    kinds = np.array(world.table.category)
    assert len(set(kinds)) == 6
    x = world.table.embeddings.astype(float)
    for kind in set(kinds):
        rows = world.mean_quality[kinds == kind]
        assert (rows == rows[0]).all()
        centre = x[kinds == kind].mean(axis=0)
        other = np.array([x[kinds == k].mean(axis=0) for k in set(kinds) - {kind}])
        own = np.linalg.norm(x[kinds == kind] - centre, axis=1).max()
        assert own < np.linalg.norm(other - centre, axis=1).min()


def test_drifting_world_changes_its_mind():
    """After half a turn, a model's slope is the opposite, after a quarter another; without turns, nothing moves."""
    world = drifting_world(prompts=4_000, turns=0.5)
    x = np.column_stack([world.table.embeddings.astype(float), np.ones(4_000)])
    parts = [slice(start, start + 200) for start in (0, 1_900, 3_800)]
    slopes = [np.linalg.lstsq(x[part], world.mean_quality[part], rcond=None)[0][:-1] for part in parts]
    first, middle, last = (slope / np.linalg.norm(slope, axis=0) for slope in slopes)
    assert ((first * last).sum(axis=0) < -0.95).all()
    assert (np.abs((first * middle).sum(axis=0)) < 0.2).all()
    lengths = np.array([np.linalg.norm(slope, axis=0) for slope in slopes])
    assert lengths == pytest.approx(np.full((3, 5), 0.3), rel=0.05)
    still = drifting_world(prompts=500, turns=0.0)
    assert _explained(still.table.embeddings.astype(float), still.mean_quality[:, 0]) > 1 - 1e-9


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"prompts": "0"}, "prompts: expected at least 1, got 0"),
        ({"models": "1"}, "models: expected at least 2, got 1"),
        ({"dimension": "1"}, "dimension: expected at least 2, got 1"),
        ({"clusters": "0"}, "clusters: expected at least 1, got 0"),
        ({"noise": "0"}, r"noise: expected a number in \(0, 1\), got 0\.0"),
        ({"noise": "nan"}, r"noise: .* got nan"),
        ({"seed": "-1"}, "seed: expected at least 0, got -1"),
        ({"seed": "x"}, "seed: expected a whole number, got 'x'"),
        ({"turns": "1"}, "clustered: expected settings among .*, got 'turns'"),
    ],
)
def test_impossible_world_is_refused(settings, message):
    """The message names the setting."""
    with pytest.raises(WorldError, match=message):
        make_world("clustered", settings)


def test_endless_turns_are_refused():
    """A drift has an end."""
    with pytest.raises(WorldError, match="turns: expected a finite number >= 0, got inf"):
        drifting_world(turns=np.inf)
