"""Worlds by name and settings in words, as a config or a command line has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from banditd_sim.worlds.clustered import clustered_world
from banditd_sim.worlds.drifting import drifting_world
from banditd_sim.worlds.linear import linear_world
from banditd_sim.worlds.nonlinear import nonlinear_world
from banditd_sim.worlds.world import World, WorldError

WORLDS: Final[Mapping[str, Callable[..., World]]] = MappingProxyType(
    {
        "linear": linear_world,
        "nonlinear": nonlinear_world,
        "clustered": clustered_world,
        "drifting": drifting_world,
    }
)
_WHOLE: Final = ("prompts", "models", "dimension", "clusters", "seed")
_REAL: Final = ("noise", "turns")
_OF_ONE: Final = MappingProxyType({"clusters": "clustered", "turns": "drifting"})


def make_world(name: str, settings: Mapping[str, str]) -> World:
    """Return the world *name*, one of `WORLDS`, with *settings* for the arguments of its maker.

    Raises:
        WorldError: there is no such world or setting, or a setting is out of range.
    """
    maker = WORLDS.get(name)
    if maker is None:
        raise WorldError("world", f"one of {', '.join(WORLDS)}", repr(name))
    values: dict[str, int | float] = {}
    known = [key for key in (*_WHOLE, *_REAL) if _OF_ONE.get(key, name) == name]
    for key, text in settings.items():
        if key not in known:
            raise WorldError(name, f"settings among {', '.join(known)}", repr(key))
        try:
            values[key] = int(text) if key in _WHOLE else float(text)
        except ValueError as error:
            raise WorldError(key, "a whole number" if key in _WHOLE else "a number", repr(text)) from error
    return maker(**values)
