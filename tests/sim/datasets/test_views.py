"""Parts of tables, and splits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banditd_sim.datasets import select_models, split_table, take
from banditd_sim.table import BOTH_BAD, TableError, is_gaps
from banditd_sim.worlds import linear_world

from .made import table

WORLD = linear_world(prompts=500, models=3, dimension=4).table


def test_taken_rows_are_those_rows():
    """Every column follows, and comparisons follow their prompts."""
    part = take(table(), np.array([2, 1]))
    assert part.prompt_ids == ("p3", "p2")
    assert part.texts == ("Three?", "Two?")
    assert (part.category, part.split) == (("code", ""), ("", "test"))
    assert np.array_equal(part.quality, [[np.nan, 0.0], [np.nan, np.nan]], equal_nan=True)
    assert part.embeddings.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert part.comparisons.prompt.tolist() == [1, 1]
    assert part.fingerprint != table().fingerprint
    assert take(table(), np.array([1, 0])).comparisons.prompt.tolist() == [0, 0]
    assert take(table(), np.array([0])).comparisons is None


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([1, 2]), np.array([False, True, True])])
def test_neighbouring_rows_are_views(rows):
    """A train part that is a run of rows costs no memory for its arrays, and gaps never do."""
    whole = table()
    part = take(whole, rows)
    assert np.shares_memory(part.quality, whole.quality)
    assert np.shares_memory(part.embeddings, whole.embeddings)
    assert is_gaps(part.input_tokens)


def test_all_rows_are_the_same_table():
    """Equal content, equal fingerprint."""
    assert take(table(), slice(None)).fingerprint == table().fingerprint


@pytest.mark.parametrize(
    "rows, message",
    [
        (np.array([], dtype=np.int64), "prompt_ids: expected at least one prompt"),
        (np.array([1, 1]), "rows: expected each row once, got 1 repeated"),
        (np.array([3]), r"rows: expected rows of 0\.\.2 or a mask of 3"),
        (np.array([True]), r"rows: expected rows of 0\.\.2 or a mask of 3"),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, message):
    """No part is empty, and none holds a prompt twice."""
    with pytest.raises(TableError, match=message):
        take(table(), rows)


def test_selected_models_are_those_columns():
    """In the order asked for, with comparisons renumbered."""
    part = select_models(table(), ["a", "b"])
    assert part.model_ids == ("a", "b")
    assert np.array_equal(part.cost_usd[0], [0.25, 2.0])
    assert part.comparisons.model_a.tolist() == [1, 0]
    assert part.comparisons.winner.tolist() == [0, BOTH_BAD]
    assert np.shares_memory(select_models(WORLD, ["model-1", "model-2"]).quality, WORLD.quality)


@pytest.mark.parametrize(
    "model_ids, message",
    [
        (["a", "z"], "models: expected one of b, a, got 'z'"),
        (["a"], "models: expected at least 2 models, got 1"),
        ([], "models: expected at least 2 models, got 0"),
        (["a", "a"], r"models\[1\]: expected distinct names"),
    ],
)
def test_models_that_cannot_be_selected_are_refused(model_ids, message):
    """With one model there is nothing to choose."""
    with pytest.raises(TableError, match=message):
        select_models(table(comparisons=None), model_ids)


def test_split_is_about_the_fraction():
    """A hash spreads prompts evenly: 5 standard deviations of 500 coins of 0.3."""
    train = split_table(WORLD, 0.3, 7).rows_of("train").size
    assert abs(train - 150) < 5 * np.sqrt(500 * 0.3 * 0.7)


@given(st.floats(0.05, 0.9), st.floats(0.01, 0.09), st.integers(0, 2**32), st.randoms())
@settings(max_examples=25)
def test_side_depends_on_id_fraction_and_seed_alone(fraction, more, seed, random):
    """Another order, or fewer prompts, moves nothing; a greater fraction keeps what was in train."""
    sides = dict(zip(WORLD.prompt_ids, split_table(WORLD, fraction, seed).split, strict=True))
    rows = list(range(len(WORLD)))
    random.shuffle(rows)
    part = split_table(take(WORLD, np.array(rows[:400])), fraction, seed)
    assert all(sides[prompt_id] == side for prompt_id, side in zip(part.prompt_ids, part.split, strict=True))
    greater = dict(zip(WORLD.prompt_ids, split_table(WORLD, fraction + more, seed).split, strict=True))
    assert all(greater[prompt_id] == "train" for prompt_id, side in sides.items() if side == "train")


def test_other_seed_gives_another_split():
    """So that a split can be resampled."""
    assert split_table(WORLD, 0.5, 1).split != split_table(WORLD, 0.5, 2).split
    assert split_table(WORLD, 0.5, 1).split == split_table(WORLD, 0.5, 1).split


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 1.5, np.nan])
def test_fraction_without_two_sides_is_refused(fraction):
    """Both sides are needed."""
    with pytest.raises(TableError, match=r"split: expected a fraction in \(0, 1\) of train"):
        split_table(WORLD, fraction, 0)


def test_split_with_an_empty_side_is_refused():
    """Three prompts and a fraction of a millionth."""
    with pytest.raises(TableError, match="split: expected prompts on both sides, got all 3 in test"):
        split_table(table(), 1e-6, 0)
