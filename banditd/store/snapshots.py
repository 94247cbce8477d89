"""Stored copies of learnt states. Those of all routers at one position make a set."""

from dataclasses import dataclass

from banditd_proto.storage.v1 import records_pb2 as pb

from banditd.errors import DataLossError
from banditd.store.codec import seal, unseal
from banditd.store.env import Env


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


def encode_snapshot(key: bytes, snapshot: StoredSnapshot, time_ms: int) -> bytes:
    """Return the bytes of a snapshot that is stored under *key*."""
    message = pb.Snapshot(
        router_id=snapshot.router_id,
        position=snapshot.position,
        policy_version=snapshot.version,
        create_time_ms=time_ms,
        policy=snapshot.policy,
        state=snapshot.state,
    )
    return seal(key, 0, time_ms, message.SerializeToString())


def decode_snapshot(key: bytes, value: bytes) -> StoredSnapshot:
    """Return the snapshot that `encode_snapshot` made *value* of; raises DataLossError."""
    m = pb.Snapshot.FromString(unseal(key, value)[2])
    return StoredSnapshot(m.router_id, m.position, m.policy_version, m.policy, m.create_time_ms, m.state)


class Snapshots:
    """The stored snapshots of an open data directory; reading is safe from any thread."""

    def __init__(self, env: Env) -> None:
        self._env = env

    def positions(self) -> list[int]:
        """Return the positions of the sets, newest first."""
        with self._env.lmdb.begin(db=self._env.snapshots) as txn, txn.cursor() as cursor:
            found = {int.from_bytes(key[:8], "big") for key in cursor.iternext(values=False)}
        return sorted(found, reverse=True)

    def of_position(self, position: int) -> dict[str, StoredSnapshot]:
        """Return the set at *position* by router.

        Raises:
            DataLossError: One of them is damaged.
        """
        prefix = position.to_bytes(8, "big")
        found = {}
        with self._env.lmdb.begin(db=self._env.snapshots) as txn, txn.cursor() as cursor:
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
