"""choose: eligible, belief, utility, pmf, floor, draw.

A pure function of a snapshot, a context and a uniform number. The server calls it on live traffic, the simulator on
logged traffic; a decision can be made again from its record.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from banditd.catalog.eligibility import exclusions_of
from banditd.domain.arrays import Array32, Array64, Codes, Index, Mask
from banditd.domain.budget import FREE, Pacing
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, NO_SLOT, Choice, DecisionSource, Exclusion, Limits, Objective, Rival
from banditd.errors import FailedPreconditionError, Reason
from banditd.features.encode import encode, encode_rows
from banditd.kernels.decision import rank_models, settle
from banditd.kernels.exploration import draw
from banditd.kernels.pacing import mix_floor_within, mix_into
from banditd.objective.weigh import weigh
from banditd.policies.base import PolicySnapshot, Prediction
from banditd.policies.explorers import greedy
from banditd.policies.pairs import rival_pmf
from banditd.routing.shares import explore
from banditd.routing.snapshot import RouterSnapshot, leave_out


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What a request asks for beside its context.

    Attributes:
        objective: The trade-off as used.
        limits: The limits.
        candidates: Shape (K',), int64, ascending indices into the snapshot's models; None means all of them.
        pacing: The shadow prices; None means those of the router's budget as they are now.
        left_usd: What the budget leaves, where it is hard: no model that is expected to cost more is eligible.
        compares: Whether a second model is wanted, to be compared with the first.
    """

    objective: Objective
    limits: Limits = NO_LIMITS
    candidates: Index | None = None
    pacing: Pacing | None = None
    left_usd: float = math.inf
    compares: bool = False


class _OwnPmf(msgspec.Struct, frozen=True, gc=False):
    """Stands in an explorer's place where the belief is a whole policy: it reads no utility."""

    whole: PolicySnapshot
    context: Context
    candidates: Index | None

    def __call__(
        self,
        utility: Array64,  # noqa: ARG002 - as explorers have it
        deviation: Array64,  # noqa: ARG002 - as explorers have it
        eligible: Mask,
        parameter: float,  # noqa: ARG002 - as explorers have it
        learnt_count: int,  # noqa: ARG002 - as explorers have it
        out_pmf: Array64,
    ) -> None:
        self.whole.fill_pmf(self.context, self.candidates, eligible, out_pmf)


def choose(
    snapshot: RouterSnapshot, context: Context, terms: Terms, uniform: float, previous_slot: int = NO_SLOT
) -> Choice:
    """Choose one of the candidates.

    Args:
        snapshot: The router, with its dimension fixed.
        context: What is known; its embedding has the router's dimension.
        terms: What is asked for.
        uniform: In [0, 1). The caller owns the randomness.
        previous_slot: Number of the model that was chosen last in the context's session.

    Returns:
        The choice; its arrays follow `terms.candidates`.

    Raises:
        FailedPreconditionError: `NO_ELIGIBLE_MODEL`, with a reason per model; `NO_ELIGIBLE_PAIR` where a pair is asked
            for and there is none.
    """
    assert snapshot.features is not None
    row = encode(snapshot.features, context.embedding, context.input_tokens)
    return choose_encoded(snapshot, row, context, terms, uniform, previous_slot)


def choose_encoded(
    snapshot: RouterSnapshot,
    row: Array32,
    context: Context,
    terms: Terms,
    uniform: float,
    previous_slot: int = NO_SLOT,
) -> Choice:
    """Choose as `choose` does, for a context whose row under the snapshot's encoding is *row*."""
    assert snapshot.belief is not None
    prediction = snapshot.belief.predict(row, context.category)
    return _choose(snapshot, prediction, context, terms, uniform, previous_slot)


def choose_rows(
    snapshot: RouterSnapshot,
    contexts: Sequence[Context],
    terms: Terms,
    uniforms: Sequence[float],
    previous_slots: Sequence[int] | None = None,
) -> list[Choice]:
    """Choose for many contexts at once; each choice is the one that `choose` makes.

    Raises:
        FailedPreconditionError: `NO_ELIGIBLE_MODEL` for the first row where nobody is.
    """
    assert snapshot.features is not None
    assert snapshot.belief is not None
    embeddings = np.stack([context.embedding for context in contexts])
    rows = encode_rows(snapshot.features, embeddings, [context.input_tokens for context in contexts])
    predictions = snapshot.belief.predict_rows(rows, [context.category for context in contexts]).values
    if previous_slots is None:
        previous_slots = [NO_SLOT] * len(contexts)
    return [
        _choose(snapshot, Prediction(values), context, terms, uniform, previous_slot)
        for values, context, uniform, previous_slot in zip(predictions, contexts, uniforms, previous_slots, strict=True)
    ]


def _choose(
    snapshot: RouterSnapshot,
    prediction: Prediction,
    context: Context,
    terms: Terms,
    uniform: float,
    previous_slot: int,
) -> Choice:
    limits, input_tokens = terms.limits, context.input_tokens
    if snapshot.charges is not None:
        prediction = snapshot.charges.added(prediction, input_tokens, previous_slot)
    if limits.required_tags or input_tokens > snapshot.window_tokens_min:
        exclusions = exclusions_of(snapshot.models, limits=limits, input_tokens=input_tokens)
        if snapshot.unhealthy is not None:
            leave_out(snapshot.unhealthy, exclusions)
    else:
        exclusions = snapshot.exclusions.copy()
    if terms.candidates is not None:
        picked = terms.candidates
        exclusions = exclusions[picked]
        prediction = Prediction(prediction.values.take(picked, axis=1))
    values, count = prediction.values, len(exclusions)
    if terms.left_usd < math.inf:
        exclusions[(exclusions == _ELIGIBLE) & (values[2] > terms.left_usd)] = _BUDGET
    policy, pacing = snapshot.policy, snapshot.pacing if terms.pacing is None else terms.pacing
    explorer = policy.explorer if snapshot.whole is None else _OwnPmf(snapshot.whole, context, terms.candidates)
    if limits.minimises_cost:
        # Nothing to explore but by the floor, for the deviations are qualities'; and nothing cheaper to pace to.
        explorer, pacing = greedy, FREE
    is_budgeted = snapshot.pacer is not None
    eligible, utility, pmf = np.empty(count, np.bool_), np.empty(count), np.empty(count)
    deviation = None if limits.latency_percentile is None else _latency_deviation(snapshot, terms)
    weighing = (prediction, terms.objective, limits)
    source = _POLICY
    if not weigh(*weighing, pacing.low, is_budgeted, exclusions, eligible, utility, deviation):
        for reasons in _LAST_RESORTS if snapshot.unhealthy is not None else ():
            exclusions[np.isin(exclusions, reasons)] = Exclusion.ELIGIBLE
            if weigh(*weighing, pacing.low, is_budgeted, exclusions, eligible, utility, deviation):
                source = DecisionSource.UNHEALTHY
                break
        else:
            raise no_eligible_model(snapshot, terms, exclusions)
    learnt_count = 0 if snapshot.belief is None else snapshot.belief.learnt_count
    caps = snapshot.share_caps
    if caps is not None and terms.candidates is not None:
        caps = caps[terms.candidates]
    explore(explorer, policy, utility, values[1], eligible, learnt_count, caps, pmf)
    if pacing.share_high > 0.0:
        dear = np.empty(count)
        weigh(*weighing, pacing.high, is_budgeted, exclusions, eligible, utility, deviation)
        explore(explorer, policy, utility, values[1], eligible, learnt_count, caps, dear)
        mix_into(pmf, dear, pacing.share_high)
    floor = policy.floor
    if is_budgeted or terms.objective.usd_weight > 0.0 or limits.minimises_cost:
        mix_floor_within(pmf, eligible, values, floor, snapshot.router.exploration_share)
        floor = 0.0
    expected = np.empty((3, count), np.float32)
    index = settle(values, eligible, floor, uniform, pmf, expected)
    if index < 0:
        return _fall_back(snapshot, terms, eligible, exclusions, expected)
    rival = None
    if terms.compares:
        rival = _rival(utility, values, eligible, pmf, index, policy.floor, terms.left_usd, uniform)
    return Choice(index, pmf, exclusions, expected, source, pacing, rival)


def _rival(
    utility: Array64,
    values: Array64,
    eligible: Mask,
    pmf: Array64,
    first: int,
    floor: float,
    left_usd: float,
    uniform: float,
) -> Rival:
    """Draw the second model by what is left of the uniform number that drew the first, which is uniform again."""
    possible = eligible.copy()
    if left_usd < math.inf:
        possible &= values[2] <= left_usd - values[2, first]
    possible[first] = True
    if np.count_nonzero(possible) == 1:
        raise FailedPreconditionError(
            Reason.NO_ELIGIBLE_PAIR, "no second candidate is eligible, or what is left of the budget pays for one only"
        )
    below = 0.0
    for probability in pmf[:first].tolist():
        below += probability
    rest = min(max((uniform - below) / float(pmf[first]), 0.0), _BELOW_ONE)
    given = rival_pmf(utility, values[1], possible, first, floor)
    return Rival(int(draw(given, rest)), given)


_BELOW_ONE = 1.0 - 2.0**-53


def _latency_deviation(snapshot: RouterSnapshot, terms: Terms) -> Array64:
    assert snapshot.belief is not None
    deviation = snapshot.belief.latency_deviation
    return deviation if terms.candidates is None else deviation[terms.candidates]


# Whom health leaves out is taken back in before a caller is refused, for what health tells is of the past: first those
# of whom some calls succeed, then the others.
_LAST_RESORTS = ((Exclusion.DEGRADED,), (Exclusion.DOWN, Exclusion.BACKING_OFF))
# Looking up a member of an enumeration takes as long as a kernel's call.
_POLICY = DecisionSource.POLICY
_ELIGIBLE, _BUDGET = int(Exclusion.ELIGIBLE), int(Exclusion.BUDGET)


def _fall_back(snapshot: RouterSnapshot, terms: Terms, eligible: Mask, exclusions: Codes, expected: Array32) -> Choice:
    """Serve the configured model, or the first eligible one: a broken policy never leaves the caller without."""
    index = snapshot.fallback_index
    if terms.candidates is not None:
        found = np.flatnonzero(terms.candidates == index)
        index = int(found[0]) if len(found) else -1
    if index < 0 or not eligible[index]:
        index = int(np.flatnonzero(eligible)[0])
    pmf = np.zeros(len(eligible))
    pmf[index] = 1.0
    return Choice(index, pmf, exclusions, expected, DecisionSource.FALLBACK)


def no_eligible_model(snapshot: RouterSnapshot, terms: Terms, exclusions: Codes) -> FailedPreconditionError:
    """Return the error that names the reason of each candidate."""
    models = snapshot.models
    if terms.candidates is not None:
        models = tuple(models[k] for k in terms.candidates)
    reasons = {model.model_id: Exclusion(code).name for model, code in zip(models, exclusions, strict=True)}
    listed = ", ".join(f"{model_id}: {reason}" for model_id, reason in list(reasons.items())[:_REASONS_LISTED])
    return FailedPreconditionError(
        Reason.NO_ELIGIBLE_MODEL,
        f"no candidate is eligible ({listed or 'the router offers no model'})",
        reasons,
    )


# An error's message stays readable; its metadata has all of them.
_REASONS_LISTED = 8


def rank(choice: Choice, objective: Objective, limits: Limits = NO_LIMITS) -> list[int]:
    """Return the candidates' indices in rank order: the chosen one, the other eligible ones by utility, the excluded.

    Works from what is stored of a choice, so that a repeated request is answered with the same order.
    """
    order: Index = np.empty(len(choice.exclusions), np.int64)
    expected, usd_weight = choice.expected, objective.usd_weight + choice.pacing.mean
    second_weight = objective.second_weight
    if limits.minimises_cost:
        # By cost alone: a quality of nothing and a weight of one.
        expected, usd_weight, second_weight = expected.copy(), 1.0, 0.0
        expected[0] = 0.0
    rank_models(expected, choice.exclusions, usd_weight, second_weight, choice.index, order)
    return [int(k) for k in order.tolist()]
