"""Start: the newest good snapshot plus the rest of the log is the state before the stop, bit for bit."""

from banditd.domain.records import ModelChange, RouterChange
from banditd.domain.snapshot import HEALTH
from banditd.errors import BanditdError, DataLossError, Reason
from banditd.learner.router_state import RouterState
from banditd.learner.state import LearnerState
from banditd.policies.registry import resolve
from banditd.store.log import Log
from banditd.store.snapshots import Snapshots


def recover(log: Log, snapshots: Snapshots) -> LearnerState:
    """Return the state after the last entry of the log.

    A set of snapshots that is damaged or incomplete is passed over for the one before it; without any, the whole log
    is folded.

    Raises:
        DataLossError: The log itself is damaged.
    """
    for position in snapshots.positions():
        try:
            state = _load(log, snapshots, position)
        except BanditdError:
            continue
        break
    else:
        state = LearnerState()
    return replay(state, log)


def replay(state: LearnerState, log: Log, up_to: int | None = None) -> LearnerState:
    """Apply what comes after *state* in the log, up to a position or its end; returns *state*."""
    for entry in log.scan(state.position):
        if up_to is not None and entry.position > up_to:
            break
        state.apply(entry, log)
    return state


def _load(log: Log, snapshots: Snapshots, position: int) -> LearnerState:
    """Return the state at the position of a set; raises BanditdError where the set does not make it up."""
    state = LearnerState()
    for entry in log.settings(position):
        record = entry.record
        if isinstance(record, ModelChange):
            if record.model is None:
                state.catalog = state.catalog.without_model(record.model_id)
            else:
                state.catalog = state.catalog.with_model(record.model)
        elif isinstance(record, RouterChange):
            if record.router is None:
                del state.routers[record.router_id]
            else:
                state.routers[record.router_id] = RouterState(record.router, resolve(record.router.policy))
    stored = snapshots.of_position(position)
    for router_id, router in state.routers.items():
        if router_id not in stored:
            raise _incomplete(router_id, position)
        router.load(stored[router_id].state)
    if HEALTH not in stored:
        raise _incomplete(HEALTH, position)
    state.load_health(stored[HEALTH].state)
    state.position = position
    return state


def _incomplete(router_id: str, position: int) -> BanditdError:
    return DataLossError(
        Reason.CORRUPT_RECORD, f"snapshots at {position}: expected one of router {router_id!r}, got none"
    )
