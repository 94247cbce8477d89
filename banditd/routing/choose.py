"""choose: eligible, belief, utility, pmf, floor, draw.

A pure function of a snapshot, a context and a uniform number. The server calls it on live traffic, the simulator on
logged traffic; a decision can be made again from its record.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from banditd.domain.arrays import Array32, Array64, Codes, Index, Mask
from banditd.domain.budget import FREE, Pacing
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, NO_SLOT, Choice, DecisionSource, Exclusion, Limits, Objective, Rival
from banditd.errors import FailedPreconditionError, Reason
from banditd.features.encode import encode, encode_rows
from banditd.kernels.choice import GIVEN, GREEDY, INVERSE_GAP, NOBODY, decide, decide_rows
from banditd.kernels.decision import rank_models_rows, weigh
from banditd.kernels.exploration import draw
from banditd.objective.bounds import bounds_of, leave_out_slow
from banditd.policies.base import Prediction, Question
from banditd.policies.explorers import gamma_now
from banditd.policies.pairs import rival_pmf
from banditd.policies.rule import NONE_GIVEN, Numbers, Rule
from banditd.routing.snapshot import RouterSnapshot


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
    row = encode(snapshot.features, context)
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
    rows = encode_rows(snapshot.features, contexts)
    predicted = snapshot.belief.predict_rows(rows, [context.category for context in contexts])
    values = predicted.values
    if previous_slots is None:
        previous_slots = [NO_SLOT] * len(contexts)
    if snapshot.whole is not None or snapshot.charges is not None or terms.limits is not NO_LIMITS:
        return [
            _choose(snapshot, predicted.of(b), context, terms, uniform, slot)
            for b, (context, uniform, slot) in enumerate(zip(contexts, uniforms, previous_slots, strict=True))
        ]
    # Nothing but what is expected differs from row to row, and how long each prompt is.
    codes = exclusions_rows(snapshot, contexts, terms)
    picked = values if terms.candidates is None else values.take(terms.candidates, axis=2)
    shape, (rule, pacing) = codes.shape, rule_of(snapshot, terms)
    pmf, expected = np.empty(shape), np.empty((shape[0], 3, shape[1]), np.float32)
    index = np.empty(shape[0], np.int64)
    drawn = np.array(uniforms, np.float64)
    decide_rows(picked, *rule, NONE_GIVEN, drawn, codes, pmf, expected, index)
    return [
        Choice(k, pmf[b], codes[b], expected[b], _POLICY, pacing)
        if k >= 0 and not terms.compares
        else _choose(snapshot, predicted.of(b), contexts[b], terms, uniforms[b], previous_slots[b])
        for b, k in enumerate(index.tolist())
    ]


def _choose(
    snapshot: RouterSnapshot,
    prediction: Prediction,
    context: Context,
    terms: Terms,
    uniform: float,
    previous_slot: int,
) -> Choice:
    """Choose by what is expected of the context."""
    values, members = prediction.values, prediction.members
    if snapshot.charges is not None:
        values = snapshot.charges.added(prediction, context.input_tokens, previous_slot).values
    exclusions = snapshot.exclusions_for(terms.limits, context.input_tokens)
    if terms.candidates is not None:
        exclusions, values = exclusions[terms.candidates], values.take(terms.candidates, axis=1)
        members = None if members is None else members.take(terms.candidates, axis=2)
    count = len(exclusions)
    pmf, expected = np.empty(count), np.empty((3, count), np.float32)
    rule, pacing = rule_of(snapshot, terms)
    given, source = NONE_GIVEN, _POLICY
    resorts = _LAST_RESORTS if snapshot.unhealthy is not None else ()
    while True:
        if terms.limits.latency_percentile is not None:
            leave_out_slow(terms.limits, values, _latency_half_variance(snapshot, terms), exclusions)
        if snapshot.whole is not None:
            given = _own_pmf(snapshot, context, terms, values, members, Rule(*rule), exclusions)
        index = decide(values, *rule, given, uniform, exclusions, pmf, expected)
        if index != NOBODY:
            break
        if not resorts:
            raise no_eligible_model(snapshot, terms, exclusions)
        exclusions[np.isin(exclusions, resorts[0])] = _ELIGIBLE
        resorts = resorts[1:]
        source = DecisionSource.UNHEALTHY
    if index < 0:
        return _fall_back(snapshot, terms, exclusions, expected)
    rival = None
    if terms.compares:
        # By what they are worth at the high price, where there are two.
        named = Rule(*rule)
        price = named.price_high if named.share_high > 0.0 else named.price_low
        _, utility, eligible = _weighed(values, named, price, exclusions)
        rival = _rival(utility, values, eligible, pmf, index, snapshot.policy.floor, terms.left_usd, uniform)
    return Choice(index, pmf, exclusions, expected, source, pacing, rival)


def _exclusions(snapshot: RouterSnapshot, context: Context, terms: Terms) -> Codes:
    """Return the reasons that hold whatever is expected, of each candidate."""
    exclusions = snapshot.exclusions_for(terms.limits, context.input_tokens)
    return exclusions if terms.candidates is None else exclusions[terms.candidates]


def exclusions_rows(snapshot: RouterSnapshot, contexts: Sequence[Context], terms: Terms) -> Codes:
    """Return the reasons that hold whatever is expected, of each candidate in each context: shape (B, K)."""
    if max(context.input_tokens for context in contexts) > snapshot.window_tokens_min:
        return np.stack([_exclusions(snapshot, context, terms) for context in contexts])
    return np.tile(_exclusions(snapshot, contexts[0], terms), (len(contexts), 1))


def rule_of(snapshot: RouterSnapshot, terms: Terms) -> tuple[Numbers, Pacing]:
    """Return the numbers by which a router decides under a request's terms, whatever the context; and the prices.

    The former are what `Rule` names: to name them takes half as long as a kernel's call.
    """
    policy, objective, limits, pacer = snapshot.policy, terms.objective, terms.limits, snapshot.pacer
    belief = snapshot.belief
    # One step instead of three where nothing is asked for: this stands in every decision's way.
    minimises_cost = limits is not NO_LIMITS and limits.minimises_cost
    pacing = terms.pacing
    if pacing is None:
        pacing = FREE if pacer is None else snapshot.pacing
    explorer, parameter = policy.explorer, policy.exploration
    if minimises_cost:
        # There is nothing cheaper to pace to, and nothing to explore but by the floor: the deviations are qualities'.
        pacing, explorer, parameter = FREE, GREEDY, 0.0
    elif snapshot.whole is not None:
        explorer, parameter = GIVEN, 0.0
    elif explorer == INVERSE_GAP and belief is not None:
        parameter = gamma_now(parameter, belief.learnt_count)
    is_frugal = pacer is not None or pacing.allowance_usd < math.inf or objective.usd_weight > 0.0 or minimises_cost
    caps, evidence = snapshot.share_caps, None if belief is None else belief.evidence
    if evidence is None:
        evidence = snapshot.untold
    if terms.candidates is not None:
        caps, evidence = caps[terms.candidates], evidence[terms.candidates]
    known_from: float = policy.change.newcomer_outcomes
    if pacer is not None and pacer.is_in_doubt:
        # What was learnt of the others was learnt beside a model that is not what it was, mostly where it was worse:
        # it is no reason to try them less than uncertainty asks for.
        known_from = math.inf
    return (
        terms.left_usd,
        objective.usd_weight,
        objective.second_weight,
        *bounds_of(limits, is_budgeted=pacer is not None),
        pacing.low,
        pacing.high,
        pacing.share_high,
        explorer,
        parameter,
        evidence,
        known_from,
        caps,
        policy.floor,
        snapshot.router.exploration_share if is_frugal else 0.0,
        pacing.allowance_usd,
    ), pacing


def _weighed(values: Array64, rule: Rule, price: float, inout_codes: Codes) -> tuple[int, Array64, Mask]:
    """Return how many are eligible, the utilities at a shadow price, and who is eligible."""
    eligible, utility = np.empty(len(inout_codes), np.bool_), np.empty(len(inout_codes))
    count = weigh(
        values,
        rule.left_usd,
        rule.usd_weight + price,
        rule.second_weight,
        rule.cost_usd_max,
        rule.latency_ms_max,
        rule.quality_min,
        inout_codes,
        eligible,
        utility,
    )
    return count, utility, eligible


def _own_pmf(
    snapshot: RouterSnapshot,
    context: Context,
    terms: Terms,
    values: Array64,
    members: Array64 | None,
    rule: Rule,
    exclusions: Codes,
) -> Array64:
    """Return the pmf of a belief that is a whole policy, and the one without the models of bounded share: (2, K).

    Both are already mixed over the shadow prices.
    """
    whole = snapshot.whole
    assert whole is not None
    given = np.zeros((2, len(exclusions)))
    count, _, eligible = _weighed(values, rule, rule.price_low, exclusions.copy())
    free = eligible & (rule.caps >= 1.0)
    for price, share in Pacing(rule.price_low, rule.price_high, rule.share_high).prices:
        objective = Objective(rule.usd_weight + price, rule.second_weight)
        question = Question(context, terms.candidates, values, members, objective, rule.allowance_usd)
        pmf = np.empty(len(exclusions))
        if count:
            whole.fill_pmf(question, eligible, pmf)
            given[0] += share * pmf
        if free.any() and not free[eligible].all():
            whole.fill_pmf(question, free, pmf)
            given[1] += share * pmf
    return given


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


def _latency_half_variance(snapshot: RouterSnapshot, terms: Terms) -> Array64:
    """Return half the variance of each candidate's log latency."""
    assert snapshot.belief is not None
    half_variance = snapshot.belief.latency_half_variance
    return half_variance if terms.candidates is None else half_variance[terms.candidates]


# Whom health leaves out is taken back in before a caller is refused, for what health tells is of the past: first those
# of whom some calls succeed, then the others.
_LAST_RESORTS: Final[tuple[tuple[Exclusion, ...], ...]] = (
    (Exclusion.DEGRADED,),
    (Exclusion.DOWN, Exclusion.BACKING_OFF),
)
# Looking up a member of an enumeration takes as long as a kernel's call.
_POLICY = DecisionSource.POLICY
_ELIGIBLE = int(Exclusion.ELIGIBLE)


def _fall_back(snapshot: RouterSnapshot, terms: Terms, exclusions: Codes, expected: Array32) -> Choice:
    """Serve the configured model, or the first eligible one: a broken policy never leaves the caller without."""
    eligible = exclusions == _ELIGIBLE
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
    order: list[int]
    (order,) = rank_rows([choice], choice.expected[None], choice.exclusions[None], objective, limits).tolist()
    return order


def rank_rows(
    choices: Sequence[Choice], expected: Array32, exclusions: Codes, objective: Objective, limits: Limits
) -> Index:
    """Return `rank` of each of several choices among the same models, shape (B, K).

    Args:
        choices: B choices that were made under one objective and one set of limits.
        expected: Shape (B, 3, K): their expectations.
        exclusions: Shape (B, K): theirs.
        objective: What was asked for.
        limits: What was asked for.
    """
    order: Index = np.empty(exclusions.shape, np.int64)
    chosen: Index = np.array([choice.index for choice in choices], np.int64)
    usd_weights = np.array([objective.usd_weight + choice.pacing.mean for choice in choices])
    second_weight = objective.second_weight
    if limits.minimises_cost:
        # By cost alone: a quality of nothing and a weight of one.
        expected, second_weight = expected.copy(), 0.0
        expected[:, 0], usd_weights[:] = 0.0, 1.0
    rank_models_rows(expected, exclusions, usd_weights, second_weight, chosen, order)
    return order
