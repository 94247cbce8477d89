"""Stored copies of learnt states. Those of all routers at one position make a set."""

from banditd.domain.snapshot import StoredSnapshot
from banditd.errors import DataLossError
from banditd.store.codec import decode_snapshot
from banditd.store.env import Env


class Snapshots:
    """The stored snapshots of an open data directory; reading is safe from any thread."""

    def __init__(self, env: Env) -> None:
        self._env = env

    def positions(self) -> list[int]:
        """Return the positions of the sets, newest first."""
        with self._env.reading(self._env.snapshots) as txn, txn.cursor() as cursor:
            found = {int.from_bytes(key[:8], "big") for key in cursor.iternext(values=False)}
        return sorted(found, reverse=True)

    def of_position(self, position: int) -> dict[str, StoredSnapshot]:
        """Return the set at *position* by router.

        Raises:
            DataLossError: One of them is damaged.
        """
        prefix = position.to_bytes(8, "big")
        found = {}
        with self._env.reading(self._env.snapshots) as txn, txn.cursor() as cursor:
            at = cursor.set_range(prefix)
            while at and cursor.key().startswith(prefix):
                snapshot = decode_snapshot(cursor.key(), cursor.value())
                found[snapshot.router_id] = snapshot
                at = cursor.next()
        return found

    def of_router(self, router_id: str) -> list[StoredSnapshot]:
        """Return a router's snapshots, newest first; damaged ones are left out."""
        found = []
        for position in self.positions():
            try:
                snapshot = self.of_position(position).get(router_id)
            except DataLossError:
                continue
            if snapshot is not None:
                found.append(snapshot)
        return found
