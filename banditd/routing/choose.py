"""choose: eligible, belief, utility, pmf, floor, draw.

A pure function of a snapshot, a context and a uniform number. The server calls it on live traffic, the simulator on
logged traffic; a decision can be made again from its record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from banditd.catalog.eligibility import exclusions_of
from banditd.domain.arrays import Array32, Array64, Codes, Index, Mask
from banditd.domain.context import Context
from banditd.domain.decision import NO_LIMITS, Choice, DecisionSource, Exclusion, Limits, Objective
from banditd.errors import FailedPreconditionError, Reason
from banditd.features.encode import encode, encode_rows
from banditd.kernels.exploration import draw, mix_floor
from banditd.objective.limits import exclude_beyond_limits
from banditd.objective.utility import utility
from banditd.policies.base import Prediction
from banditd.routing.snapshot import RouterSnapshot


@dataclass(frozen=True, slots=True)
class Terms:
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
    return _choose(snapshot, snapshot.belief.predict(row), context.input_tokens, terms, uniform)


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
    p = snapshot.belief.predict_rows(rows)
    return [
        _choose(
            snapshot,
            Prediction(p.quality[b], p.deviation[b], p.cost_usd[b], p.latency_ms[b]),
            context.input_tokens,
            terms,
            uniform,
        )
        for b, (context, uniform) in enumerate(zip(contexts, uniforms, strict=True))
    ]


def _choose(
    snapshot: RouterSnapshot, prediction: Prediction, input_tokens: int, terms: Terms, uniform: float
) -> Choice:
    limits = terms.limits
    if limits.required_tags or input_tokens > snapshot.window_tokens_min:
        exclusions = exclusions_of(snapshot.models, limits=limits, input_tokens=input_tokens)
    else:
        exclusions = snapshot.exclusions.copy()
    if terms.candidates is not None:
        picked = terms.candidates
        exclusions = exclusions[picked]
        prediction = Prediction(
            prediction.quality[picked],
            prediction.deviation[picked],
            prediction.cost_usd[picked],
            prediction.latency_ms[picked],
        )
    exclude_beyond_limits(prediction, terms.objective, limits, exclusions)
    eligible: Mask = exclusions == Exclusion.ELIGIBLE
    if not eligible.any():
        raise no_eligible_model(snapshot, terms, exclusions)
    pmf = np.empty(len(eligible))
    snapshot.policy.explorer(
        utility(prediction, terms.objective),
        prediction.deviation,
        eligible,
        snapshot.policy.exploration,
        snapshot.belief.learnt_count if snapshot.belief is not None else 0,
        pmf,
    )
    mix_floor(pmf, eligible, snapshot.policy.floor)
    expected = np.empty((3, len(eligible)), np.float32)
    expected[0] = prediction.quality
    expected[1] = prediction.cost_usd
    expected[2] = prediction.latency_ms
    if not abs(pmf.sum() - 1.0) < _PMF_TOLERANCE:
        return _fall_back(snapshot, terms, eligible, exclusions, expected)
    return Choice(int(draw(pmf, uniform)), pmf, exclusions, expected, DecisionSource.POLICY)


# Kernels normalise to within 1e-12; anything beyond this is not a rounding error.
_PMF_TOLERANCE = 1e-9


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
    quality, cost, latency = choice.expected.astype(np.float64)
    value: Array64 = utility(Prediction(quality, quality, cost, latency), objective)
    keys = np.where(choice.exclusions == Exclusion.ELIGIBLE, -value, np.inf)
    keys[choice.index] = -np.inf
    return [int(k) for k in np.argsort(keys, kind="stable")]
