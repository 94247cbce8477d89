"""How a policy that does not decide would have drawn."""

import numpy as np

from banditd.domain.arrays import Array32, Array64, Index
from banditd.domain.decision import Decision, Exclusion, Objective
from banditd.errors import BanditdError
from banditd.routing.choose import Terms, choose_encoded
from banditd.routing.snapshot import RouterSnapshot


def shadow_pmf(snapshot: RouterSnapshot, decision: Decision, row: Array32) -> Array64:
    """Return the pmf of *snapshot* over a decision's candidates, shape (K,).

    It is asked under the decision's terms and shadow prices, about the models that were eligible then: limits and
    health bind whoever decides. Where it can choose none of them it is taken to do as was done.

    Args:
        snapshot: The policy that did not decide, with what it had learnt before the decision.
        decision: What was decided.
        row: The decision's context under the snapshot's encoding.
    """
    live = decision.choice.pmf
    eligible = np.flatnonzero(decision.choice.exclusions == Exclusion.ELIGIBLE)
    index_of = {slot: k for k, slot in enumerate(snapshot.slots.tolist())}
    found = [index_of.get(slot, -1) for slot in decision.slots[eligible].tolist()]
    if not found or min(found) < 0:
        return live
    candidates: Index = np.array(found, np.int64)
    terms = Terms(decision.objective, decision.limits, candidates, decision.choice.pacing)
    try:
        choice = choose_encoded(snapshot, row, decision.context, terms, decision.uniform, decision.previous_slot)
    except BanditdError:
        return live
    pmf = np.zeros(len(live))
    pmf[eligible] = choice.pmf
    return pmf


def measure(decision: Decision) -> Objective:
    """Return the trade-off that a decision's utilities are measured by: what it was made under, shadow prices too."""
    objective = decision.objective
    return Objective(objective.usd_weight + decision.choice.pacing.mean, objective.second_weight)


def is_comparable(decision: Decision) -> bool:
    """Return whether a decision tells policies apart: one was drawn, for its utility rather than for its cost alone."""
    return decision.learnable and not decision.limits.minimises_cost
