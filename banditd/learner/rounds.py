"""Rounds of which every outcome comes at once, as a replay has them: decided and folded many in one call.

What `routing.choose` and `LearnerState.apply` make of each round by itself, in the same order, to the bit.
"""

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS
from banditd.kernels.choice import INVERSE_GAP
from banditd.learner.router_state import RouterState
from banditd.learner.state import LearnerState
from banditd.policies.base import PlayingBelief
from banditd.policies.stretch import NO_PACE, Stretch
from banditd.routing.choose import Terms, rule_of
from banditd.routing.snapshot import RouterSnapshot


def is_playable(state: RouterState, snapshot: RouterSnapshot, terms: Terms) -> bool:
    """Return whether rounds can be played in one call, as long as settings, models and terms stay what they are.

    Args:
        state: A router.
        snapshot: What it published last.
        terms: What all rounds ask for.

    Returns:
        False where something goes on between rounds that is no kernel's.
    """
    policy = state.policy
    return (
        state.belief is not None
        and isinstance(state.belief, PlayingBelief)
        and (state.pacer is None or state.pacer.is_playable(snapshot.slots.tolist()))
        # What a hard budget leaves is asked anew for each round.
        and math.isinf(terms.left_usd)
        and not state.shadows
        and not snapshot.newcomers
        and not policy.change.fades
        and policy.observation_weighting <= 1.0
        # Its parameter follows the count of what was learnt.
        and policy.explorer != INVERSE_GAP
        and snapshot.charges is None
        and snapshot.unhealthy is None
        and terms.limits is NO_LIMITS
        and terms.candidates is None
        and terms.pacing is None
        and not terms.compares
    )


def rounds_max(state: RouterState) -> int:
    """Return how many rounds of a router that `is_playable` can be played in one call now; 0 for none."""
    if state.pacer is not None and not state.pacer.is_steady:
        return 0
    return int(min(_playing(state).rounds_max, state.prompts_to_fit))


def play(
    learner: LearnerState, snapshot: RouterSnapshot, terms: Terms, contexts: Sequence[Context], stretch: Stretch
) -> int:
    """Play a stretch, whose entries come next in the log: a decision and an outcome each, at time 0.

    What `LearnerState.apply` does of either kind of entry is done here of many, and has to be kept like it.

    Args:
        learner: The state.
        snapshot: Of a router that `is_playable`, just published.
        terms: What all rounds ask for.
        contexts: Of the rounds; none is of a session.
        stretch: At most `rounds_max` rounds, at least one.

    Returns:
        How many rounds were played; the next one is for `choose` and `apply` if they were none.
    """
    state = learner.routers[snapshot.router.router_id]
    changes, slots = state.changes, snapshot.slots
    numbers, _ = rule_of(snapshot, terms)
    pace = NO_PACE if state.pacer is None else state.pacer.pace(state.router.exploration_share)
    sums = changes.sums_of(slots.tolist()) if state.policy.change.change_detection else None
    played = _playing(state).play(stretch, numbers, sums, state.support.totals_for(slots), pace)
    index = stretch.index[:played]
    for k, count in enumerate(np.bincount(index).tolist()):
        if not count:
            continue
        slot = snapshot.models[k].slot
        state.decision_counts[slot] = state.decision_counts.get(slot, 0) + count
        if sums is not None:
            changes.take(slot, sums[k])
    state.arrival.note_arrived(slots[index].tolist(), contexts[:played])
    if played:
        state.decision_count += played
        state.observed += played
        learner.position += 2 * played
        state.version = learner.position
        state.note_change(state.decision_count, 0)
    return played


def _playing(state: RouterState) -> PlayingBelief:
    """Return the belief of a router that `is_playable`: to look at a protocol again would take as long as a round."""
    return cast("PlayingBelief", state.belief)
