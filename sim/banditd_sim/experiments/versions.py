"""Versions of what decides a result's bits."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Final

_DISTRIBUTIONS: Final = ("banditd", "banditd-sim", "numpy", "numba", "pyarrow", "scipy")


def versions() -> dict[str, str]:
    """Return versions by name."""
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "source tree"
    return found
