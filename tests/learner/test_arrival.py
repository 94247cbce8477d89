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


def test_what_waits_to_be_learnt_is_learnt_before_anybody_looks(monkeypatch):
    """However many wait, every answer and the stored state are those of one that learns each at once, to the bit."""
    rng = np.random.default_rng(4)
    prompts = [Context(rng.standard_normal(3).astype(np.float16), int(n), "ab"[n % 2]) for n in range(150)]
    cases = [(int(rng.integers(3)), prompt, bool(rng.random() < 0.6)) for prompt in prompts]

    def seen(waiting_max):
        monkeypatch.setattr("banditd.learner.arrival._WAITING_MAX", waiting_max)
        arrival, answers = Arrival(), []
        for i, (slot, prompt, arrived) in enumerate(cases):
            arrival.note(slot, prompt, arrived=arrived)
            if i in {50, 120}:
                answers += [arrival.counts(slot), arrival.rate(slot), arrival.probability(slot, prompt)]
                answers += [arrival.weight(slot, prompt, 4.0)]
            if i == 100:
                arrival.drop(1)
        return answers, [(name, array.tobytes()) for name, array in arrival.to_arrays().items()]

    assert seen(1) == seen(64)


def test_what_is_loaded_replaces_what_waits():
    """It belongs to what was there before."""
    arrival = Arrival()
    arrival.note(0, CONTEXT, arrived=True)
    arrival.load_arrays({})
    assert arrival.to_arrays() == {}
