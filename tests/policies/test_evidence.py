"""What waits to be added makes no difference to what is seen."""

import numpy as np
import pytest

from banditd.policies.beliefs.evidence import Evidence

WIDTH = 5
ROWS = np.random.default_rng(0).standard_normal((200, WIDTH)).astype(np.float32)


def taught(waiting_max, monkeypatch, look):
    """Return evidence of 200 qualities of three models, some gathered, and what *look* does to it halfway."""
    monkeypatch.setattr("banditd.policies.beliefs.evidence._WAITING_MAX", waiting_max)
    rng, evidence = np.random.default_rng(1), Evidence(WIDTH)
    for i, row in enumerate(ROWS):
        if i % 50 == 49:
            measured = np.array([[0.5, np.nan, np.nan], [np.nan, 1.0, 2.0], [0.25, 1.0, np.nan]])
            evidence.add_rows(1, ROWS[i - 2 : i + 1], measured, np.ones(3), 0.9)
        else:
            evidence.add(int(rng.integers(3)), row, float(rng.random()), float(rng.choice([1.0, 0.3])), 0.95)
        if i == 110:
            look(evidence)
    return evidence


@pytest.mark.parametrize(
    "look",
    [
        lambda evidence: evidence.of(0).fade(0.5),
        lambda evidence: evidence.of(2).free_level(0.1),
        lambda evidence: evidence.sums.pop(1),
        lambda evidence: evidence.sample.rows,
    ],
    ids=["fade", "free_level", "drop", "sample"],
)
def test_what_waits_is_added_before_anybody_looks(look, monkeypatch):
    """To the bit, whatever is done to it meanwhile."""
    ours, theirs = taught(64, monkeypatch, look), taught(1, monkeypatch, look)
    # First, for whoever reads the sums adds what waits.
    np.testing.assert_array_equal(ours.sample.keys, theirs.sample.keys)
    np.testing.assert_array_equal(ours.sample.rows, theirs.sample.rows)
    assert ours.sums.keys() == theirs.sums.keys() == {0, 1, 2}
    for slot, sums in ours.sums.items():
        for name in ("gram", "moment", "totals"):
            np.testing.assert_array_equal(getattr(sums, name), getattr(theirs.sums[slot], name), err_msg=name)


def test_what_is_loaded_replaces_what_waits():
    """It belongs to what was there before."""
    evidence = Evidence(WIDTH)
    evidence.add(0, ROWS[0], 0.5, 1.0, 1.0)
    evidence.load({}, np.zeros(0), np.zeros((0, WIDTH), np.float32))
    assert evidence.sums == {}
    assert len(evidence.sample.rows) == 0
