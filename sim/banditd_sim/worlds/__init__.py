"""Synthetic worlds whose expected outcomes, and so the best possible choice, are known."""

from banditd_sim.worlds.clustered import clustered_world
from banditd_sim.worlds.drifting import drifting_world
from banditd_sim.worlds.linear import linear_world
from banditd_sim.worlds.nonlinear import nonlinear_world
from banditd_sim.worlds.registry import WORLDS, make_world
from banditd_sim.worlds.world import World, WorldError

__all__ = [
    "WORLDS",
    "World",
    "WorldError",
    "clustered_world",
    "drifting_world",
    "linear_world",
    "make_world",
    "nonlinear_world",
]
