"""What a table refuses, how it says so, and what its fingerprint tells apart."""

import numpy as np
import pytest

from banditd_sim.table import TableError, TableModel, gaps, is_gaps

from .made import comparisons, table

NAN = np.nan


def _quality(row, k, value):
    array = np.full((3, 2), 0.5)
    array[row, k] = value
    return array


def test_a_good_table_is_kept_as_it_is_and_cannot_be_written():
    """Arrays are viewed, not copied; the caller's own stay writable."""
    quality = np.array([[1.0, 0.5], [NAN, NAN], [NAN, 0.0]])
    made = table(quality=quality)
    assert np.shares_memory(made.quality, quality)
    assert quality.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        made.quality[0, 0] = 0.0
    assert len(made) == 3
    assert made.model_ids == ("b", "a")
    assert made.rows_of("test").tolist() == [1]
    assert made.rows_of("no such split").size == 0


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"quality": _quality(2, 1, 1.01)}, r"quality\[2, 'a'\]: expected a number in \[0, 1\], or NaN, got 1\.01"),
        ({"quality": _quality(0, 0, -0.1)}, r"quality\[0, 'b'\]: .* got -0\.1"),
        ({"quality": _quality(0, 0, np.inf)}, r"quality\[0, 'b'\]: .* got inf"),
        ({"cost_usd": _quality(1, 0, -1e-9)}, r"cost_usd\[1, 'b'\]: expected a finite number >= 0, or NaN, got -1e-09"),
        ({"cost_usd": _quality(1, 0, np.inf)}, r"cost_usd\[1, 'b'\]: .* got inf"),
        ({"latency_ms": _quality(1, 0, -np.inf)}, r"latency_ms\[1, 'b'\]: .* got -inf"),
        ({"quality": np.ones((2, 3))}, r"quality: expected shape \(3, 2\), prompts by models, got \(2, 3\)"),
        ({"prompt_ids": ("p1", "p2", "p1")}, r"prompt_ids\[2\]: expected distinct names, got 'p1', already in row 0"),
        ({"prompt_ids": ("p1", "", "p3")}, r"prompt_ids\[1\]: expected a name, got an empty one"),
        ({"texts": ("one",)}, "texts: expected 3 entries, as in prompt_ids, got 1"),
        ({"split": ()}, "split: expected 3 entries, as in prompt_ids, got 0"),
        ({"models": (TableModel("a"),)}, "models: expected at least 2 models, got 1"),
        ({"models": (TableModel("a"), TableModel("a"))}, r"models\[1\]: expected distinct names, got 'a'"),
        ({"models": (TableModel("a", -1.0), TableModel("b"))}, r"models\[0\]: expected prices .* got -1\.0"),
        ({"embeddings": np.ones((2, 4), np.float16)}, r"embeddings: expected shape \(3, D\), .* got \(2, 4\)"),
        ({"embeddings": np.array([[0, 0], [0, 7e4], [0, 0]])}, r"embeddings\[1\]: expected finite .*, got inf"),
        ({"embeddings": np.array([[0, 0], [0, 0], [NAN, 0]])}, r"embeddings\[2\]: expected finite .*, got nan"),
        ({"comparisons": comparisons(prompt=np.array([0, 3]))}, r"comparisons\.prompt\[1\]: expected 0\.\.2, got 3"),
        ({"comparisons": comparisons(winner=np.array([4, 0]))}, r"comparisons\.winner\[0\]: expected 0\.\.3, got 4"),
        ({"comparisons": comparisons(model_b=np.array([0, 0]))}, r"model_b\[0\]: expected another model .* got 'b'"),
        ({"comparisons": comparisons(strength_a=np.array([0.5, 1.5]))}, r"strength_a\[1\]: .* got 1\.5"),
        ({"comparisons": comparisons(judge=("eve",))}, r"comparisons\.judge: expected 2 names, got 1"),
        ({"comparisons": comparisons(prompt=np.array([0.0, 1.0]))}, r"comparisons\.prompt: expected 2 whole numbers"),
    ],
)
def test_a_wrong_table_is_refused(changes, message):
    """Field, row and model are named, with what was expected and found."""
    with pytest.raises(TableError, match=message):
        table(**changes)


def test_an_empty_table_is_refused():
    """No prompts are not data."""
    with pytest.raises(TableError, match="prompt_ids: expected at least one prompt, got an empty table"):
        table(prompt_ids=())


def test_gaps_take_no_memory():
    """What no source knows is one number, and stays one when the table is checked."""
    assert is_gaps(gaps(10**6, 50))
    assert is_gaps(table().input_tokens)
    assert not is_gaps(table().quality)


def test_equal_content_has_an_equal_fingerprint():
    """The name, the memory layout and the bits of a NaN are no content."""
    other = table(
        name="other",
        quality=np.asfortranarray(table().quality),
        input_tokens=np.full((3, 2), -NAN),
    )
    assert other.fingerprint == table().fingerprint
    assert len(table().fingerprint) == 32


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt_ids": ("p1", "p2", "p4")},
        {"prompt_ids": ("p1p", "2", "p3")},
        {"texts": ("One?", "Two?", "Three!")},
        {"category": ("math", "", "")},
        {"split": ("train", "test", "test")},
        {"models": (TableModel("b", 1.0, 2.6), TableModel("a"))},
        {"models": (TableModel("b", 1.0, 2.5), TableModel("c"))},
        {"quality": np.array([[1.0, 0.5], [NAN, NAN], [0.0, NAN]])},
        {"cost_usd": gaps(3, 2)},
        {"embeddings": None},
        {"comparisons": None},
        {"comparisons": comparisons(judge=("eva", ""))},
        {"comparisons": comparisons(winner=np.array([1, 3]))},
    ],
)
def test_other_content_has_another_fingerprint(changes):
    """Whatever a policy or a report could see."""
    assert table(**changes).fingerprint != table().fingerprint
