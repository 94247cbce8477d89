"""A stored copy of a router's learnt state."""

from dataclasses import dataclass
from typing import Final

# In the place of a router's name, in the set of a position: the health of all models.
HEALTH: Final = ""


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A router's learnt state at a position.

    Attributes:
        router_id: The router.
        position: Log position of the set.
        version: Version of the router's policy at that position.
        policy: Name of the preset.
        time_ms: When it was stored.
        state: See `banditd.policies.snapshot_codec`.
    """

    router_id: str
    position: int
    version: int
    policy: str
    time_ms: int
    state: bytes
