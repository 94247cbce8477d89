"""A live server's log, made again: the same fold, the same choose, and so the same decisions, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from banditd.domain.decision import Choice, Decision, DecisionSource
from banditd.domain.records import LogEntry
from banditd.learner.state import LearnerState, LogView
from banditd.routing.choose import Terms, choose
from banditd.routing.snapshot import RouterSnapshot
from banditd.store.env import Env
from banditd.store.log import Log
from banditd_sim.environments.engine import slots_to_candidates
from banditd_sim.environments.errors import SimError

# Address space for reading, not memory.
_MAP_BYTES: Final = 64 << 30


@dataclass(frozen=True, slots=True)
class Remade:
    """A logged decision and the one that its own snapshot makes of its own context now.

    Attributes:
        position: Of the decision in the log.
        decision: As logged.
        again: As made now.
    """

    position: int
    decision: Decision
    again: Choice

    @property
    def equal(self) -> bool:
        """Whether model, probabilities, expectations, exclusions and source are the same to the last bit."""
        logged, again = self.decision.choice, self.again
        return (
            logged.index == again.index
            and logged.source == again.source
            and logged.pmf.tobytes() == again.pmf.tobytes()
            and logged.expected.tobytes() == again.expected.tobytes()
            and logged.exclusions.tobytes() == again.exclusions.tobytes()
        )


def remake(entries: Iterable[LogEntry], log: LogView) -> Iterator[Remade]:
    """Fold a log and make every decision in it again.

    Live, decisions are made by the newest published snapshot, while outcomes are on their way; which one it was stands
    in the decision, so its snapshot is looked up by that version.

    Args:
        entries: The whole log, oldest first.
        log: For the fold's look-ups.

    Raises:
        SimError: A decision by a version that this log never had.
    """
    state = LearnerState()
    snapshots: dict[tuple[str, int], RouterSnapshot] = {}
    for entry in entries:
        # What callers decided themselves nobody here can make again.
        if isinstance(entry.record, Decision) and entry.record.choice.source is not DecisionSource.CALLER:
            yield Remade(entry.position, entry.record, _again(entry, snapshots))
        state.apply(entry, log)
        for router_id, router in state.routers.items():
            if (router_id, router.version) not in snapshots:
                snapshots[router_id, router.version] = state.publish().routers[router_id]
                _forget(snapshots)


def remake_directory(data: Path) -> Iterator[Remade]:
    """Make every decision in a data directory again; the server may be running."""
    with Env(data, _MAP_BYTES, readonly=True) as env:
        log = Log(env)
        yield from remake(log.scan(0), log)


# Calls in flight decide by snapshots that are at most so many publications old.
_SNAPSHOTS_KEPT: Final = 4096


def _forget(snapshots: dict[tuple[str, int], RouterSnapshot]) -> None:
    if len(snapshots) > _SNAPSHOTS_KEPT:
        del snapshots[next(iter(snapshots))]


def _again(entry: LogEntry, snapshots: dict[tuple[str, int], RouterSnapshot]) -> Choice:
    decision = entry.record
    assert isinstance(decision, Decision)
    snapshot = snapshots.get((decision.router_id, decision.policy_version))
    if snapshot is None:
        raise SimError(
            f"log[{entry.position}].policy_version",
            "a version of the router that the log made",
            decision.policy_version,
            reason="UNKNOWN_VERSION",
        )
    candidates = slots_to_candidates(snapshot, [int(slot) for slot in np.asarray(decision.slots)])
    return choose(snapshot, decision.context, Terms(decision.objective, decision.limits, candidates), decision.uniform)
