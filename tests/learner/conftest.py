"""Fixtures: a clock, and writers that are ended whatever happens."""

import pytest

from banditd.learner.router_state import missing_fits

from .rig import Rig
from .world import FakeClock, model_change, router_change


@pytest.fixture
def clock():
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def open_rig(tmp_path, clock):
    """Opens a writer on the test's directory; one at a time."""
    opened = []

    def open_(*args, **options):
        opened.append(Rig(tmp_path / "data", clock, *args, **options))
        return opened[-1]

    yield open_
    for rig in opened:
        rig.crash()


@pytest.fixture
def rig(open_rig):
    """A writer with two models and a router of dimension 4."""
    opened = open_rig()
    opened.change(model_change(0))
    opened.change(model_change(1))
    opened.change(router_change())
    opened.change(*start_of(opened))
    return opened


def start_of(opened, router_id="r"):
    """Return the seeded starts of a router's encodings, as the server logs them."""
    state = opened.state.routers[router_id]
    return missing_fits(state.router, state)
