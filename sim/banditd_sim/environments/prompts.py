"""Prompts: those of a world in the order in which they come, encoded many at a time."""

from __future__ import annotations

import numpy as np

from banditd.domain.arrays import Array32
from banditd.features.encode import encode_rows
from banditd.features.spec import FeatureSpec
from banditd_sim.environments.arena import Arena
from banditd_sim.ope.arrays import Int64

# Prompts that are encoded at once, which costs each a fraction of what it would alone. A new encoding, of which there
# are few, makes those vain that were not asked for.
_AHEAD = 128


class Prompts:
    """Prompts and their rows.

    Args:
        arena: The data.
        rows: Which of its prompts come, in order.
    """

    def __init__(self, arena: Arena, rows: Int64) -> None:
        self.contexts = [arena.context_of(row) for row in rows.tolist()]
        self._features: FeatureSpec | None = None
        self._begin = 0
        self._rows: Array32 = np.zeros((0, 0), np.float32)

    def row(self, t: int, features: FeatureSpec) -> Array32:
        """Return prompt *t* under an encoding: the bits that `encode` gives."""
        self._encode(t, features)
        row: Array32 = self._rows[t - self._begin]
        return row

    def rows(self, t: int, features: FeatureSpec) -> Array32:
        """Return prompt *t* and some of those that follow it: shape (n, N), n >= 1."""
        self._encode(t, features)
        return self._rows[t - self._begin :]

    def _encode(self, begin: int, features: FeatureSpec) -> None:
        """Encode prompts from *begin* on, unless that one is."""
        if features is self._features and 0 <= begin - self._begin < len(self._rows):
            return
        self._rows = encode_rows(features, self.contexts[begin : begin + _AHEAD])
        self._features, self._begin = features, begin
