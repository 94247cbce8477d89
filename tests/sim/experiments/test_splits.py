"""Parts: history, learning and measured prompts never overlap."""

import numpy as np
import pytest

from banditd_sim.environments.errors import SimError
from banditd_sim.experiments.config import DataConfig
from banditd_sim.experiments.splits import parts_of
from tests.sim.environments.worlds import flat

SPLIT = ["train"] * 4 + ["val"] * 3 + ["test"] * 3


def rows(parts):
    """Return the parts as lists."""
    return parts.warm.tolist(), parts.learn.tolist(), parts.test.tolist()


def test_splits_are_taken_by_name():
    """What is not named is measured, unless the measured split is named."""
    table = flat(10, [0.5, 0.5], [1.0, 1.0], split=SPLIT)
    everything = list(range(10))
    assert rows(parts_of(table, DataConfig())) == ([], [], everything)
    assert rows(parts_of(table, DataConfig(warm_split="train"))) == (everything[:4], [], everything[4:])
    named = DataConfig(warm_split="train", learn_split="val", test_split="test")
    assert rows(parts_of(table, named)) == (everything[:4], everything[4:7], everything[7:])


def test_a_set_without_the_split_is_split_by_fraction():
    """The same prompts for the same seed, whatever their order in the file; all prompts in one of the two."""
    table = flat(10, [0.5, 0.5], [1.0, 1.0])
    config = DataConfig(warm_split="train", warm_fraction=0.4, split_seed=3)
    parts = parts_of(table, config)
    assert (len(parts.warm), len(parts.learn), len(parts.test)) == (4, 0, 6)
    assert sorted([*parts.warm, *parts.test]) == list(range(10))
    turned = flat(10, [0.5, 0.5], [1.0, 1.0])
    from dataclasses import replace

    turned = replace(turned, prompt_ids=turned.prompt_ids[::-1])
    again = parts_of(turned, config)
    assert {turned.prompt_ids[row] for row in again.warm} == {table.prompt_ids[row] for row in parts.warm}
    other = parts_of(table, DataConfig(warm_split="train", warm_fraction=0.4, split_seed=4))
    assert not np.array_equal(parts.warm, other.warm)


def test_a_fraction_leaves_a_set_with_the_split_alone():
    """So that one command serves sets of both kinds."""
    table = flat(10, [0.5, 0.5], [1.0, 1.0], split=SPLIT)
    assert parts_of(table, DataConfig(warm_split="train", warm_fraction=0.9)).warm.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "config, named",
    [
        (DataConfig(warm_split="dev"), "data.warm_split"),
        (DataConfig(learn_split="dev"), "data.learn_split"),
        (DataConfig(test_split="dev"), "data.test_split"),
        (DataConfig(warm_split="train", test_split="train"), "data"),
        (DataConfig(warm_split="train", learn_split="train"), "data"),
        (DataConfig(warm_split="dev", warm_fraction=0.01), "data.warm_fraction"),
    ],
)
def test_splits_that_are_not_there_or_overlap_are_refused(config, named):
    """The message lists those that are there."""
    with pytest.raises(SimError) as caught:
        parts_of(flat(10, [0.5, 0.5], [1.0, 1.0], split=SPLIT), config)
    assert caught.value.field == named
