"""Rows of an import, checked: from messages to the records that are logged. Each message names row and field."""

import math
from collections.abc import Sequence
from typing import Final

from banditd.catalog.models import Catalog
from banditd.domain.context import Context
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson, OutcomeStatus
from banditd.domain.records import ComparisonRecord, Example, LeaderboardPrior, PastChoice, Record
from banditd.errors import FailedPreconditionError, InvalidArgumentError, Reason
from banditd.learner.commands import ImportHistory
from banditd.policies.beliefs.factory import supposes, weighs
from banditd.routing.snapshot import RouterSnapshot
from banditd.server import checks
from banditd_proto.v1 import history_pb2
from banditd_proto.v1 import router_admin_service_pb2 as pb

# So many rows, of as many models as there may be, are learnt in about a tenth of a second, in which decisions wait.
ROWS_MAX: Final = 256
_LEADERBOARD_ENTRIES_MAX: Final = 256
_STRENGTH_MAX: Final = 1000.0
_ROW_NUMBER_MAX: Final = 1 << 40
_PMF_TOLERANCE: Final = 1e-6
# Rating points per factor of e in the odds.
_POINTS_PER_NAT: Final = 400.0 / math.log(10.0)
_RATING_MAX: Final = 100_000.0


def check_import(request: pb.ImportHistoryRequest, snapshot: RouterSnapshot, catalog: Catalog) -> ImportHistory:
    """Return what a request asks to be learnt.

    Raises:
        InvalidArgumentError: A row or field is wrong.
        FailedPreconditionError: `CANNOT_WEIGH` or `CANNOT_TAKE_PRIOR`: the router's belief cannot learn it.
    """
    checks.check_name(request.import_id, "import_id", checks.REQUEST_ID, Reason.BAD_IMPORT_ID)
    checks.check_range(request.row_position, "row_position", 0, _ROW_NUMBER_MAX)
    weight = _weight(request, snapshot)
    if not 1 <= len(request.rows) <= ROWS_MAX:
        raise InvalidArgumentError(Reason.BATCH_SIZE, "rows", f"1..{ROWS_MAX}", f"{len(request.rows)}")
    reader = _Reader(snapshot, catalog, request.import_id, weight)
    records = tuple(reader.record(row, f"rows[{i}]") for i, row in enumerate(request.rows))
    _check_dimensions(records)
    return ImportHistory(snapshot.router.router_id, request.import_id, request.row_position, records)


def dimension_of(command: ImportHistory) -> int:
    """Return how many values the prompts of an import have; 0 where there are none."""
    return next((len(context.embedding) for context in map(_context_of, command.records) if context is not None), 0)


def _context_of(record: Record) -> Context | None:
    return record.context if isinstance(record, Example | ComparisonRecord) else None


def _check_dimensions(records: Sequence[Record]) -> None:
    """Raise unless all prompts have as many values as the first one."""
    first = 0
    for i, record in enumerate(records):
        context = _context_of(record)
        if context is not None:
            first = first or len(context.embedding)
            checks.check_dimension(len(context.embedding), first, f"rows[{i}].context.embedding")


def _weight(request: pb.ImportHistoryRequest, snapshot: RouterSnapshot) -> float:
    weight = request.row_weight if request.HasField("row_weight") else 1.0
    if not 0.0 < weight <= 1.0:
        raise InvalidArgumentError(
            Reason.WEIGHT_OUT_OF_RANGE, "row_weight", "a number above 0 and at most 1", f"{weight:g}"
        )
    if weight != 1.0 and not weighs(snapshot.policy):
        raise FailedPreconditionError(
            Reason.CANNOT_WEIGH,
            f"row_weight: expected 1, since {snapshot.policy.preset} learns whole observations only, got {weight:g}",
        )
    return weight


class _Reader:
    """Makes records of rows.

    Args:
        snapshot: The router.
        catalog: All models.
        import_id: Names the import.
        weight: Observations that a row counts for.
    """

    def __init__(self, snapshot: RouterSnapshot, catalog: Catalog, import_id: str, weight: float) -> None:
        self._snapshot = snapshot
        self._router_id = snapshot.router.router_id
        self._catalog = catalog
        self._import_id = import_id
        self._weight = weight

    def record(self, row: history_pb2.HistoryRow, path: str) -> Record:
        """Return the record of a row."""
        kind = row.WhichOneof("evidence")
        if kind == "scores":
            return self._scores(row.scores, f"{path}.scores")
        if kind == "comparison":
            return self._comparison(row, f"{path}.comparison")
        if kind == "decision":
            return self._decision(row.decision, f"{path}.decision")
        if kind == "leaderboard":
            return self._leaderboard(row.leaderboard, f"{path}.leaderboard")
        raise InvalidArgumentError(
            Reason.EMPTY_ROW, path, "scores, a comparison, a decision or a leaderboard", "none of them"
        )

    def _scores(self, message: history_pb2.ScoredPrompt, path: str) -> Example:
        context = checks.check_context(message.context, self._snapshot.router, f"{path}.context")
        if not 1 <= len(message.scores) <= checks.CANDIDATES_MAX:
            raise InvalidArgumentError(
                Reason.BATCH_SIZE, f"{path}.scores", f"1..{checks.CANDIDATES_MAX} models", f"{len(message.scores)}"
            )
        lessons = [self._lesson(score, context, f"{path}.scores[{i}]") for i, score in enumerate(message.scores)]
        _check_once([slot for slot, _ in lessons], f"{path}.scores")
        return Example(self._router_id, context, tuple(lessons), self._import_id)

    def _comparison(self, row: history_pb2.HistoryRow, path: str) -> ComparisonRecord:
        message = row.comparison
        if message.decision_id or message.router_id or message.comparison_id:
            raise InvalidArgumentError(
                Reason.COMPARISON_SUBJECT, path, "a prompt of its own, and no ids", "an id of a decision or comparison"
            )
        context = checks.check_context(message.context, self._snapshot.router, f"{path}.context")
        comparison = checks.check_comparison(
            message, b"", self._catalog, lambda: self._catalog.by_slot, path=path, weight=self._weight
        )
        return ComparisonRecord(self._router_id, 0, context, comparison, OutcomeStatus.APPLIED)

    def _decision(self, message: history_pb2.PastDecision, path: str) -> Example:
        context = checks.check_context(message.context, self._snapshot.router, f"{path}.context")
        lesson = self._lesson(message.outcome, context, f"{path}.outcome")
        return Example(self._router_id, context, (lesson,), self._import_id, self._choice(message, lesson[0], path))

    def _choice(self, message: history_pb2.PastDecision, chosen: int, path: str) -> PastChoice:
        propensity = message.propensity
        if not 0.0 < propensity <= 1.0:
            raise _bad_propensity(f"{path}.propensity", "a number above 0 and at most 1", f"{propensity:g}")
        names, pmf = message.candidate_model_ids, tuple(message.probabilities)
        if not names and not pmf:
            return PastChoice(propensity)
        if not 1 <= len(names) <= checks.CANDIDATES_MAX:
            raise InvalidArgumentError(
                Reason.TOO_MANY_CANDIDATES,
                f"{path}.candidate_model_ids",
                f"1..{checks.CANDIDATES_MAX} models, or none and no probabilities",
                f"{len(names)}",
            )
        if len(pmf) != len(names):
            raise _bad_propensity(f"{path}.probabilities", f"{len(names)} values", f"{len(pmf)}")
        slots = [self._model(name, f"{path}.candidate_model_ids[{i}]").slot for i, name in enumerate(names)]
        _check_once(slots, f"{path}.candidate_model_ids")
        if chosen not in slots:
            raise InvalidArgumentError(
                Reason.UNKNOWN_MODEL, f"{path}.outcome.model_id", "one of the candidates", "another model"
            )
        if not all(math.isfinite(p) and p >= 0.0 for p in pmf) or abs(sum(pmf) - 1.0) > _PMF_TOLERANCE:
            raise _bad_propensity(f"{path}.probabilities", "numbers >= 0 that sum to 1", f"a sum of {sum(pmf):g}")
        if abs(pmf[slots.index(chosen)] - propensity) > _PMF_TOLERANCE:
            raise _bad_propensity(
                f"{path}.propensity", f"{pmf[slots.index(chosen)]:g}, as `probabilities` has it", f"{propensity:g}"
            )
        return PastChoice(propensity, tuple(slots), pmf)

    def _leaderboard(self, message: history_pb2.LeaderboardGuess, path: str) -> LeaderboardPrior:
        if not supposes(self._snapshot.policy):
            raise FailedPreconditionError(
                Reason.CANNOT_TAKE_PRIOR, f"{path}: {self._snapshot.policy.preset} has no prior that could be set"
            )
        entries = message.entries
        if not 1 <= len(entries) <= _LEADERBOARD_ENTRIES_MAX:
            raise InvalidArgumentError(
                Reason.BATCH_SIZE, f"{path}.entries", f"1..{_LEADERBOARD_ENTRIES_MAX}", f"{len(entries)}"
            )
        slots = [self._model(e.model_id, f"{path}.entries[{i}].model_id").slot for i, e in enumerate(entries)]
        _check_once(slots, f"{path}.entries")
        qualities = self._qualities(entries, path)
        for i, entry in enumerate(entries):
            if not 0.0 < entry.strength <= _STRENGTH_MAX:
                raise InvalidArgumentError(
                    Reason.WEIGHT_OUT_OF_RANGE,
                    f"{path}.entries[{i}].strength",
                    f"a number above 0 and at most {_STRENGTH_MAX:g}",
                    f"{entry.strength:g}",
                )
        strengths = [entry.strength for entry in entries]
        return LeaderboardPrior(self._router_id, self._import_id, tuple(zip(slots, qualities, strengths, strict=True)))

    def _qualities(self, entries: Sequence[history_pb2.LeaderboardEntry], path: str) -> list[float]:
        """Return the expected qualities that a leaderboard tells of."""
        name = "rating" if entries[0].HasField("rating") else "quality"
        other = "quality" if name == "rating" else "rating"
        for i, entry in enumerate(entries):
            if not entry.HasField(name) or entry.HasField(other):
                raise InvalidArgumentError(
                    Reason.EMPTY_ROW, f"{path}.entries[{i}]", f"a {name} and no {other}, as the first has", "another"
                )
        if name == "quality":
            return [
                checks.check_range(e.quality, f"{path}.entries[{i}].quality", 0.0, 1.0, Reason.QUALITY_OUT_OF_RANGE)
                for i, e in enumerate(entries)
            ]
        ratings = [
            checks.check_range(e.rating, f"{path}.entries[{i}].rating", -_RATING_MAX, _RATING_MAX)
            for i, e in enumerate(entries)
        ]
        mean = sum(ratings) / len(ratings)
        # Under the linear link of comparisons the difference of two qualities is by how much one wins more often than
        # it loses, tanh(d / 2) for d nats: of two models as far above as below the mean this is exactly that.
        spread = [0.5 * math.tanh((rating - mean) / _POINTS_PER_NAT) for rating in ratings]
        return [min(max(self._snapshot.router.quality_guess + by, 0.0), 1.0) for by in spread]

    def _lesson(self, score: history_pb2.Score, context: Context, path: str) -> tuple[int, Lesson]:
        model = self._model(score.model_id, f"{path}.model_id")

        def number(name: str, high: float, reason: Reason) -> float | None:
            if not score.HasField(name):
                return None
            return checks.check_range(getattr(score, name), f"{path}.{name}", 0, high, reason)

        quality = number("quality", 1.0, Reason.QUALITY_OUT_OF_RANGE)
        cost = number("cost_usd", checks.COST_USD_MAX, Reason.COST_OUT_OF_RANGE)
        latency = number("latency_ms", checks.LATENCY_MS_MAX, Reason.LATENCY_OUT_OF_RANGE)
        read = number("input_token_count", checks.TOKENS_MAX, Reason.TOKENS_OUT_OF_RANGE)
        written = number("output_token_count", checks.TOKENS_MAX, Reason.TOKENS_OUT_OF_RANGE)
        price = model.price
        if cost is None and written is not None and price is not None:
            tokens = context.input_tokens if read is None else int(read)
            cost = price.cost_usd(tokens, int(written), 0) if tokens >= 0 else None
        lesson = Lesson(
            quality=quality,
            cost_usd=cost,
            price_mtok_usd=None if cost is None or price is None else price.blended_mtok_usd,
            latency_ms=latency,
            fee_usd=0.0 if cost is None or price is None else price.request_usd,
            weight=self._weight,
        )
        if not lesson.metrics:
            raise InvalidArgumentError(
                Reason.EMPTY_ROW,
                path,
                "a quality, a cost, a latency, or token counts of a model with a price",
                "none of them",
            )
        return model.slot, lesson

    def _model(self, model_id: str, path: str) -> ModelSpec:
        model = self._catalog.get(model_id)
        if model is None:
            raise InvalidArgumentError(
                Reason.UNKNOWN_MODEL, path, "a model of the catalogue", checks.shown_name(model_id)
            )
        return model


def _check_once(slots: Sequence[int], path: str) -> None:
    if len(set(slots)) != len(slots):
        raise InvalidArgumentError(Reason.DUPLICATE_MODEL, path, "each model once", "one of them twice")


def _bad_propensity(path: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.PROPENSITY_OUT_OF_RANGE, path, expected, got)
