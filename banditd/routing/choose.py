"""choose: eligible, belief, utility, pmf, floor, draw.

A pure function of a snapshot, a context and a uniform number. The server calls it on live traffic, the simulator on
logged traffic; a decision can be made again from its record.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from banditd.catalog.eligibility import exclusions_of
from banditd.domain.arrays import Array32, Codes, Index, Mask
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Choice, DecisionSource, Exclusion, Limits, Objective
from banditd.errors import FailedPreconditionError, Reason
from banditd.features.encode import encode, encode_rows
from banditd.kernels.decision import rank_models, settle
from banditd.objective.weigh import weigh
from banditd.policies.base import Prediction
from banditd.routing.snapshot import RouterSnapshot


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What a request asks for beside its context.

    Attributes:
        objective: The trade-off as used.
        limits: The limits.
        candidates: Shape (K',), int64, ascending indices into the snapshot's models; None means all of them.
    """

    objective: Objective
    limits: Limits = NO_LIMITS
    candidates: Index | None = None


def choose(snapshot: RouterSnapshot, context: Context, terms: Terms, uniform: float) -> Choice:
    """Choose one of the candidates.

    Args:
        snapshot: The router, with its dimension fixed.
        context: What is known; its embedding has the router's dimension.
        terms: What is asked for.
        uniform: In [0, 1). The caller owns the randomness.

    Returns:
        The choice; its arrays follow `terms.candidates`.

    Raises:
        FailedPreconditionError: `NO_ELIGIBLE_MODEL`, with a reason per model.
    """
    assert snapshot.features is not None
    assert snapshot.belief is not None
    row = encode(snapshot.features, context.embedding, context.input_tokens)
    return _choose(snapshot, snapshot.belief.predict(row, context.category), context, terms, uniform)


def choose_rows(
    snapshot: RouterSnapshot, contexts: Sequence[Context], terms: Terms, uniforms: Sequence[float]
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
    return [
        _choose(snapshot, Prediction(values), context, terms, uniform)
        for values, context, uniform in zip(predictions, contexts, uniforms, strict=True)
    ]


def _choose(snapshot: RouterSnapshot, prediction: Prediction, context: Context, terms: Terms, uniform: float) -> Choice:
    limits, input_tokens = terms.limits, context.input_tokens
    if limits.required_tags or input_tokens > snapshot.window_tokens_min:
        exclusions = exclusions_of(snapshot.models, limits=limits, input_tokens=input_tokens)
    else:
        exclusions = snapshot.exclusions.copy()
    if terms.candidates is not None:
        picked = terms.candidates
        exclusions = exclusions[picked]
        prediction = Prediction(prediction.values.take(picked, axis=1))
    count = len(exclusions)
    eligible, value, pmf = np.empty(count, np.bool_), np.empty(count), np.empty(count)
    if not weigh(prediction, terms.objective, limits, exclusions, eligible, value):
        raise no_eligible_model(snapshot, terms, exclusions)
    policy, belief = snapshot.policy, snapshot.belief
    if snapshot.whole is None:
        learnt_count = 0 if belief is None else belief.learnt_count
        policy.explorer(value, prediction.values[1], eligible, policy.exploration, learnt_count, pmf)
    else:
        snapshot.whole.fill_pmf(context, terms.candidates, eligible, pmf)
    expected = np.empty((3, count), np.float32)
    index = settle(prediction.values, eligible, policy.floor, uniform, pmf, expected)
    if index < 0:
        return _fall_back(snapshot, terms, eligible, exclusions, expected)
    return Choice(index, pmf, exclusions, expected, _POLICY)


# Looking up a member of an enumeration takes as long as a kernel's call.
_POLICY = DecisionSource.POLICY


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


def rank(choice: Choice, objective: Objective) -> list[int]:
    """Return the candidates' indices in rank order: the chosen one, the other eligible ones by utility, the excluded.

    Works from what is stored of a choice, so that a repeated request is answered with the same order.
    """
    order: Index = np.empty(len(choice.exclusions), np.int64)
    rank_models(choice.expected, choice.exclusions, objective.usd_weight, objective.second_weight, choice.index, order)
    return [int(k) for k in order.tolist()]
