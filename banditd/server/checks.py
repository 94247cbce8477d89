"""Checks of requests. Each message names the field path, what was expected and what came; never a payload."""

import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np

from banditd.catalog.models import Catalog
from banditd.domain.arrays import Array16, Array32, Index
from banditd.domain.budget import Budget, BudgetWindow
from banditd.domain.comparison import Comparison, ShownFirst, Winner
from banditd.domain.context import INPUT_TOKENS_UNKNOWN, Context
from banditd.domain.decision import NO_LIMITS, Limits, Objective
from banditd.domain.model import MODEL_ID_PATTERN
from banditd.domain.outcome import Failure, Outcome
from banditd.domain.router import ROUTER_MODELS_MAX, RouterSpec
from banditd.errors import FailedPreconditionError, InvalidArgumentError, Reason
from banditd.features.spec import DIMENSION_MAX, DIMENSION_MIN
from banditd.kernels.half import to_half
from banditd.routing.choose import Terms
from banditd.routing.snapshot import RouterSnapshot
from banditd_proto.v1 import comparison_pb2, context_pb2, outcome_pb2, router_pb2, routing_service_pb2

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
ROUTER_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MODEL_ID = re.compile(MODEL_ID_PATTERN)
TOKENS_MAX: Final = 100_000_000
COST_USD_MAX: Final = 1_000_000.0
LATENCY_MS_MAX: Final = 86_400_000.0
CANDIDATES_MAX: Final = 64
TAGS_MAX: Final = 32
TAG_CHARACTERS_MAX: Final = 64
BATCH_ROWS_MAX: Final = 1024
_TEXT_BYTES_MAX: Final = 128
_EMBEDDING_MODEL_MAX: Final = 128
_WHOLE_MAX: Final = 1e15
# The largest finite float16; embeddings are logged as float16.
_VALUE_MAX: Final = 65504.0
_PROPENSITY_TOLERANCE: Final = 1e-6
_FLOAT32: Final = np.dtype("<f4")


def check_name(text: str, field: str, pattern: re.Pattern[str], reason: Reason) -> str:
    """Return *text* if all of it matches *pattern*; raises InvalidArgumentError."""
    if pattern.fullmatch(text) is None:
        got = "an empty string" if not text else f"{len(text)} characters"
        raise InvalidArgumentError(reason, field, f"a match of {pattern.pattern}", got)
    return text


def check_range(value: float, field: str, low: float, high: float, reason: Reason = Reason.OUT_OF_RANGE) -> float:
    """Return *value* if it is finite and in [low, high]; raises InvalidArgumentError."""
    if not math.isfinite(value):
        raise InvalidArgumentError(
            reason if reason is not Reason.OUT_OF_RANGE else Reason.NOT_FINITE, field, _range(low, high), f"{value}"
        )
    if not low <= value <= high:
        raise InvalidArgumentError(reason, field, _range(low, high), _number(value))
    return value


def _range(low: float, high: float) -> str:
    return f"{_number(low)}..{_number(high)}" if math.isfinite(high) else f"a finite number >= {_number(low)}"


def _number(value: float) -> str:
    """Return a number in full where that is short: a limit of 100000000 tokens is not 1e+08."""
    whole = isinstance(value, int) or (abs(value) < _WHOLE_MAX and value == math.floor(value))
    return f"{int(value)}" if whole else f"{value!r}"


def check_text(text: str, field: str) -> str:
    """Return *text* if it is short enough; raises InvalidArgumentError."""
    if len(text) > _TEXT_BYTES_MAX or len(text.encode()) > _TEXT_BYTES_MAX:
        size = len(text.encode())
        raise InvalidArgumentError(Reason.OUT_OF_RANGE, field, f"at most {_TEXT_BYTES_MAX} bytes", f"{size}")
    return text


def check_context(context: context_pb2.Context, router: RouterSpec, field: str = "context") -> Context:
    """Return the context that came in *field*; its dimension is the router's where that is fixed."""
    check_embedding_model(context.embedding_model, router, f"{field}.embedding_model")
    tokens = INPUT_TOKENS_UNKNOWN
    if context.HasField("input_token_count"):
        tokens = context.input_token_count
        check_range(tokens, f"{field}.input_token_count", 0, TOKENS_MAX, Reason.TOKENS_OUT_OF_RANGE)
    return Context(
        embedding=_embedding(context, router.embedding_dimension, field),
        input_tokens=tokens,
        category=check_text(context.category, f"{field}.category") if context.category else "",
        session=check_text(context.session_id, f"{field}.session_id") if context.session_id else "",
    )


def check_embedding_model(name: str, router: RouterSpec, field: str) -> None:
    """Raise if the request's embedding was made by another model than the router expects."""
    if len(name) > _EMBEDDING_MODEL_MAX:
        raise InvalidArgumentError(
            Reason.OUT_OF_RANGE, field, f"at most {_EMBEDDING_MODEL_MAX} characters", f"{len(name)}"
        )
    if name and router.embedding_model and name != router.embedding_model:
        raise FailedPreconditionError(
            Reason.EMBEDDING_VERSION, f"{field}: expected {router.embedding_model!r}, got {name!r}"
        )


def _embedding(context: context_pb2.Context, dimension: int, path: str) -> Array16:
    raw = context.embedding_float32
    field = f"{path}.embedding_float32"
    if raw:
        if context.embedding:
            raise InvalidArgumentError(
                Reason.WRONG_DIMENSION, f"{path}.embedding", "only one of embedding and embedding_float32", "both"
            )
        if len(raw) % 4 or (dimension and len(raw) != 4 * dimension):
            expected = f"{4 * dimension} bytes ({dimension} float32 values)" if dimension else "a multiple of 4 bytes"
            raise InvalidArgumentError(Reason.WRONG_DIMENSION, field, expected, f"{len(raw)}")
        values: Array32 = np.frombuffer(raw, _FLOAT32)
    else:
        field = f"{path}.embedding"
        values = np.array(context.embedding, np.float32)
    if len(values) == 0:
        raise InvalidArgumentError(Reason.EMPTY_EMBEDDING, field, _dimension(dimension), "no value")
    check_dimension(len(values), dimension, field)
    return to_float16(values, field)


def _dimension(dimension: int) -> str:
    return f"{dimension} values" if dimension else f"{DIMENSION_MIN}..{DIMENSION_MAX} values"


def check_dimension(count: int, dimension: int, field: str) -> None:
    """Raise unless *count* values are what the router expects (0: anything allowed)."""
    if (dimension and count != dimension) or not DIMENSION_MIN <= count <= DIMENSION_MAX:
        raise InvalidArgumentError(Reason.WRONG_DIMENSION, field, _dimension(dimension), f"{count}")


def to_float16(values: Array32, field: str) -> Array16:
    """Return the values as they are logged; raises where one is not finite or beyond float16."""
    rounded = np.empty(values.size, np.uint16)
    flat = values.reshape(-1)
    if not to_half(flat, rounded):
        bad = np.flatnonzero(~np.isfinite(rounded.view(np.float16)))
        at, value = int(bad[0]), float(flat[int(bad[0])])
        if math.isfinite(value):
            raise InvalidArgumentError(
                Reason.NORM_OUT_OF_RANGE, f"{field}[{at}]", f"a magnitude of at most {_VALUE_MAX:g}", f"{abs(value):g}"
            )
        raise InvalidArgumentError(Reason.NOT_FINITE, f"{field}[{at}]", "a finite number", f"{value}")
    return rounded.view(np.float16).reshape(values.shape)


def check_batch_embeddings(request: routing_service_pb2.RouteBatchRequest, dimension: int) -> Array16:
    """Return the embeddings of a batch: shape (B, Din)."""
    count = request.row_count
    if not 1 <= count <= BATCH_ROWS_MAX:
        raise InvalidArgumentError(Reason.BATCH_SIZE, "row_count", f"1..{BATCH_ROWS_MAX}", f"{count}")
    size = len(request.embeddings_float32)
    if size == 0:
        raise InvalidArgumentError(Reason.EMPTY_EMBEDDING, "embeddings_float32", f"{count} rows", "no byte")
    if size % (4 * count):
        raise InvalidArgumentError(
            Reason.WRONG_DIMENSION, "embeddings_float32", f"a multiple of {4 * count} bytes ({count} rows)", f"{size}"
        )
    check_dimension(size // (4 * count), dimension, "embeddings_float32")
    values: Array32 = np.frombuffer(request.embeddings_float32, _FLOAT32).reshape(count, -1)
    return to_float16(values, "embeddings_float32")


def check_column(values: Sequence[object], count: int, field: str) -> None:
    """Raise unless a column is empty or has a value per row."""
    if len(values) not in (0, count):
        raise InvalidArgumentError(Reason.BATCH_SIZE, field, f"{count} values or none", f"{len(values)}")


def check_terms(
    snapshot: RouterSnapshot,
    catalog: Catalog,
    candidate_model_ids: Sequence[str],
    limits: routing_service_pb2.Limits | None,
    objective: router_pb2.Objective | None,
    left_usd: float,
) -> Terms:
    """Return what a request asks for beside its context.

    A request that says itself what a dollar is worth is not paced; what it spends counts all the same, and what it may
    spend on exploration is bounded as for any other.
    """
    own = snapshot.router.objective
    asked = own if objective is None else check_objective(objective, "objective", own)
    if asked != own and snapshot.policy.has_fixed_objective:
        raise FailedPreconditionError(
            Reason.FIXED_OBJECTIVE,
            f"objective: {snapshot.policy.preset} has learnt the router's trade-off and cannot follow another one for "
            "a single request; leave it out, change the router's, or use a preset that weighs at each request",
        )
    own_weight = objective is not None and objective.HasField("usd_weight")
    return Terms(
        objective=asked,
        limits=NO_LIMITS if limits is None else _limits(limits),
        candidates=_candidates(snapshot, catalog, candidate_model_ids) if candidate_model_ids else None,
        pacing=snapshot.pacing.unpriced if own_weight else snapshot.pacing,
        left_usd=left_usd,
    )


def check_objective(message: router_pb2.Objective, field: str, default: Objective) -> Objective:
    """Return an objective; what is unset is the default's."""
    usd, second = default.usd_weight, default.second_weight
    if message.HasField("usd_weight"):
        usd = check_range(message.usd_weight, f"{field}.usd_weight", 0.0, 1e9)
    if message.HasField("second_weight"):
        second = check_range(message.second_weight, f"{field}.second_weight", 0.0, 1e6)
    return Objective(usd, second)


def check_budget(message: router_pb2.Budget, field: str) -> Budget:
    """Return a budget."""
    usd = message.amount_usd
    if not (math.isfinite(usd) and _BUDGET_USD_MIN <= usd <= _BUDGET_USD_MAX):
        expected = f"{_BUDGET_USD_MIN:g}..{_BUDGET_USD_MAX:g} USD"
        raise InvalidArgumentError(Reason.OUT_OF_RANGE, f"{field}.amount_usd", expected, f"{usd:g}")
    try:
        window = BudgetWindow(message.window)
    except ValueError:
        raise InvalidArgumentError(
            Reason.OUT_OF_RANGE, f"{field}.window", "a value of BudgetWindow", f"{message.window}"
        ) from None
    return Budget(usd, window, message.hard)


_BUDGET_USD_MIN: Final = 1e-12
_BUDGET_USD_MAX: Final = 1e12


def _limits(message: routing_service_pb2.Limits) -> Limits:
    def limit(name: str, high: float) -> float | None:
        if not message.HasField(name):
            return None
        return check_range(float(getattr(message, name)), f"limits.{name}", 0.0, high, Reason.BAD_CONSTRAINT)

    percentile = None
    if message.HasField("latency_percentile"):
        percentile = message.latency_percentile
        check_range(percentile, "limits.latency_percentile", *_PERCENTILES, Reason.BAD_CONSTRAINT)
        if not message.HasField("latency_ms_max"):
            raise InvalidArgumentError(
                Reason.BAD_CONSTRAINT, "limits.latency_ms_max", "a limit, since latency_percentile is set", "none"
            )
    return Limits(
        cost_usd_max=limit("cost_usd_max", math.inf),
        latency_ms_max=limit("latency_ms_max", math.inf),
        quality_min=limit("quality_min", 1.0),
        required_tags=check_tags(message.required_tags, "limits.required_tags"),
        latency_percentile=percentile,
    )


# Beyond, the tail of a log-normal fitted to tens of latencies says nothing.
_PERCENTILES: Final = (1.0, 99.9)


def check_tags(tags: Sequence[str], field: str) -> tuple[str, ...]:
    """Return tags if they are few and short enough; raises InvalidArgumentError."""
    if len(tags) > TAGS_MAX:
        raise InvalidArgumentError(Reason.OUT_OF_RANGE, field, f"at most {TAGS_MAX} tags", f"{len(tags)}")
    for i, tag in enumerate(tags):
        if not 1 <= len(tag) <= TAG_CHARACTERS_MAX:
            raise InvalidArgumentError(
                Reason.OUT_OF_RANGE, f"{field}[{i}]", f"1..{TAG_CHARACTERS_MAX} characters", f"{len(tag)}"
            )
    return tuple(tags)


def _candidates(snapshot: RouterSnapshot, catalog: Catalog, model_ids: Sequence[str]) -> Index:
    field = "candidate_model_ids"
    if len(model_ids) > CANDIDATES_MAX:
        raise InvalidArgumentError(
            Reason.TOO_MANY_CANDIDATES, field, f"at most {CANDIDATES_MAX} models", f"{len(model_ids)}"
        )
    picked: list[int] = []
    for i, model_id in enumerate(model_ids):
        index = snapshot.index_of.get(model_id)
        if index is None:
            expected = "a model that the router offers" if catalog.get(model_id) else "a model of the catalogue"
            raise InvalidArgumentError(Reason.UNKNOWN_MODEL, f"{field}[{i}]", expected, shown_name(model_id))
        picked.append(index)
    if len(set(picked)) != len(picked):
        i = next(i for i, index in enumerate(picked) if index in picked[:i])
        raise InvalidArgumentError(Reason.DUPLICATE_MODEL, f"{field}[{i}]", "each model once", repr(model_ids[i]))
    return np.array(sorted(picked), np.int64)


def check_propensities(request: routing_service_pb2.ReportDecisionRequest) -> dict[str, float]:
    """Return the probabilities that a caller drew by, by model: they sum to 1, and what was drawn could be."""
    count = len(request.propensities)
    if not 1 <= count <= ROUTER_MODELS_MAX:
        raise InvalidArgumentError(
            Reason.TOO_MANY_CANDIDATES, "propensities", f"1..{ROUTER_MODELS_MAX} models", f"{count}"
        )
    found: dict[str, float] = {}
    for i, message in enumerate(request.propensities):
        field = f"propensities[{i}]"
        check_name(message.model_id, f"{field}.model_id", MODEL_ID, Reason.BAD_NAME)
        if message.model_id in found:
            raise InvalidArgumentError(
                Reason.DUPLICATE_MODEL, f"{field}.model_id", "each model once", shown_name(message.model_id)
            )
        found[message.model_id] = check_range(
            message.propensity, f"{field}.propensity", 0.0, 1.0, Reason.BAD_PROPENSITIES
        )
    total = math.fsum(found.values())
    if abs(total - 1.0) > _PROPENSITY_TOLERANCE:
        raise InvalidArgumentError(Reason.BAD_PROPENSITIES, "propensities", "a sum of 1", f"{total!r}")
    if not found.get(request.model_id, 0.0) > 0.0:
        raise InvalidArgumentError(
            Reason.BAD_PROPENSITIES, "model_id", "a model with a propensity above 0", shown_name(request.model_id)
        )
    return {model_id: propensity / total for model_id, propensity in found.items()}


def shown_name(model_id: str) -> str:
    """Return a name for a message: only what could be a name is repeated."""
    return repr(model_id) if MODEL_ID.fullmatch(model_id) else "something that is no model's name"


def check_outcome(
    message: outcome_pb2.Outcome, decision_id: bytes, catalog: Catalog, decided_slots: Callable[[], Collection[int]]
) -> Outcome:
    """Return an outcome. Whether it fits its decision is for the ledger to judge.

    Args:
        message: What came.
        decision_id: Of its decision, verified.
        catalog: The models.
        decided_slots: Looks up the candidates of the decision; called only where a name alone does not tell the model.
    """
    if message.outcome_id:
        check_name(message.outcome_id, "outcome.outcome_id", REQUEST_ID, Reason.BAD_OUTCOME_ID)

    def number(name: str, high: float, reason: Reason) -> float | None:
        if not message.HasField(name):
            return None
        return check_range(getattr(message, name), f"outcome.{name}", 0, high, reason)

    if message.HasField("quality") and not math.isfinite(message.quality):
        raise InvalidArgumentError(Reason.NOT_FINITE, "outcome.quality", "0..1", f"{message.quality}")
    quality = number("quality", 1.0, Reason.QUALITY_OUT_OF_RANGE)
    cost = number("cost_usd", COST_USD_MAX, Reason.COST_OUT_OF_RANGE)
    latency = number("latency_ms", LATENCY_MS_MAX, Reason.LATENCY_OUT_OF_RANGE)
    input_tokens = number("input_token_count", TOKENS_MAX, Reason.TOKENS_OUT_OF_RANGE)
    output_tokens = number("output_token_count", TOKENS_MAX, Reason.TOKENS_OUT_OF_RANGE)
    read_tokens = TOKENS_MAX if input_tokens is None else input_tokens
    cached_tokens = number("cached_input_token_count", read_tokens, Reason.TOKENS_OUT_OF_RANGE)
    try:
        failure = Failure(message.failure)
    except ValueError:
        raise InvalidArgumentError(
            Reason.UNKNOWN_FAILURE, "outcome.failure", "a value of Failure", f"{message.failure}"
        ) from None
    nothing_seen = all(v is None for v in (quality, cost, latency, input_tokens, output_tokens, cached_tokens))
    if nothing_seen and failure is Failure.NONE and not message.served_model_id:
        raise InvalidArgumentError(
            Reason.EMPTY_OUTCOME,
            "outcome",
            "a quality, cost, token count, latency, failure or served model",
            "none of them",
        )
    observe_time_ms = 0
    if message.HasField("observe_time"):
        stamp = message.observe_time
        if not (0 < stamp.seconds < _SECONDS_MAX and 0 <= stamp.nanos < _NANOS):
            got = f"{stamp.seconds} s and {stamp.nanos} ns"
            raise InvalidArgumentError(Reason.BAD_TIMESTAMP, "outcome.observe_time", "a time of 1970..9999", got)
        observe_time_ms = stamp.seconds * 1000 + stamp.nanos // 1_000_000
    return Outcome(
        decision_id=decision_id,
        outcome_id=message.outcome_id,
        quality=quality,
        cost_usd=cost,
        input_tokens=None if input_tokens is None else int(input_tokens),
        output_tokens=None if output_tokens is None else int(output_tokens),
        latency_ms=latency,
        failure=failure,
        served_slot=_served_slot(message.served_model_id, catalog, decided_slots),
        observe_time_ms=observe_time_ms,
        cached_input_tokens=None if cached_tokens is None else int(cached_tokens),
    )


def check_comparison(
    message: comparison_pb2.Comparison,
    decision_id: bytes,
    catalog: Catalog,
    slots_meant: Callable[[], Collection[int]],
    *,
    path: str = "comparison",
    weight: float = 1.0,
) -> Comparison:
    """Return a comparison. Whether it fits its decision is for the learner to judge.

    Args:
        message: What came.
        decision_id: Of its decision, verified; empty where it has a prompt of its own.
        catalog: The models.
        slots_meant: Looks up the models that may be meant; called only where a name alone does not tell the model.
        path: Of the field that it came in.
        weight: Comparisons that it counts for.
    """
    if message.comparison_id:
        check_name(message.comparison_id, f"{path}.comparison_id", REQUEST_ID, Reason.BAD_COMPARISON_ID)
    try:
        winner = Winner(message.winner)
    except ValueError:
        raise InvalidArgumentError(
            Reason.UNKNOWN_WINNER, f"{path}.winner", "A, B, TIE or BOTH_BAD", f"{message.winner}"
        ) from None
    try:
        shown_first = ShownFirst(message.shown_first)
    except ValueError:
        raise InvalidArgumentError(
            Reason.OUT_OF_RANGE, f"{path}.shown_first", "a value of ShownFirst", f"{message.shown_first}"
        ) from None
    strength = None
    if message.HasField("strength"):
        field = f"{path}.strength"
        strength = check_range(message.strength, field, 0.0, 1.0, Reason.STRENGTH_OUT_OF_RANGE)
        if winner not in (Winner.A, Winner.B):
            raise InvalidArgumentError(Reason.STRENGTH_OUT_OF_RANGE, field, "none where nobody won", _number(strength))
    slot_a = _named_slot(message.model_a_id, f"{path}.model_a_id", catalog, slots_meant)
    slot_b = _named_slot(message.model_b_id, f"{path}.model_b_id", catalog, slots_meant)
    if slot_a == slot_b:
        raise InvalidArgumentError(
            Reason.SELF_COMPARISON, f"{path}.model_b_id", "another model than model_a_id", "the same"
        )
    return Comparison(
        slot_a=slot_a,
        slot_b=slot_b,
        winner=winner,
        judge=check_text(message.judge, f"{path}.judge"),
        strength=strength,
        shown_first=shown_first,
        comparison_id=message.comparison_id,
        decision_id=decision_id,
        weight=weight,
    )


_SECONDS_MAX: Final = 253_402_300_800
_NANOS: Final = 1_000_000_000


def _served_slot(model_id: str, catalog: Catalog, decided_slots: Callable[[], Collection[int]]) -> int:
    return _named_slot(model_id, "outcome.served_model_id", catalog, decided_slots) if model_id else -1


def _named_slot(model_id: str, field: str, catalog: Catalog, slots_meant: Callable[[], Collection[int]]) -> int:
    slots = [slot for slot, name in enumerate(catalog.names) if name == model_id]
    if len(slots) > 1:
        # One that was removed and made again is another model: the decision knows which of them it was about.
        meant = slots_meant()
        slots = [slot for slot in slots if slot in meant] or slots
    if slots:
        return slots[-1]
    expected = "a candidate of the decision" if field.startswith("outcome.") else "a model of the catalogue"
    raise InvalidArgumentError(Reason.UNKNOWN_MODEL, field, expected, shown_name(model_id))
