"""SnapshotRef: where the newest serving snapshot is picked up."""

from banditd.routing.snapshot import ServingSnapshot


class SnapshotRef:
    """Holds the newest snapshot. Written by the writer's thread, read by any; publishing is one assignment."""

    __slots__ = ("current",)

    def __init__(self, snapshot: ServingSnapshot) -> None:
        self.current = snapshot
