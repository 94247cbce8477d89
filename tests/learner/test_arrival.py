"""What is learnt of arrivals, as a snapshot stores it."""

import numpy as np

from banditd.domain.context import Context
from banditd.learner.arrival import Arrival

CONTEXT = Context(np.array([0.5, -1.0, 2.0], np.float16), input_tokens=100, category="code")


def reloaded(arrival):
    """Return what a start makes of the stored state."""
    fresh = Arrival()
    fresh.load_arrays(arrival.to_arrays())
    return fresh


def test_what_models_have_in_common_outlasts_them():
    """After the last model was removed, a start goes on from the same state as the fold does."""
    arrival = Arrival()
    assert arrival.to_arrays() == {}
    arrival.note(0, CONTEXT, arrived=False)
    arrival.drop(0)
    again = reloaded(arrival)
    for each in (arrival, again):
        each.note(1, CONTEXT, arrived=True)
    assert again.probability(1, CONTEXT) == arrival.probability(1, CONTEXT)
    assert all(np.array_equal(again.to_arrays()[name], array) for name, array in arrival.to_arrays().items())
