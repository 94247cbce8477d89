"""Every malformed input gets its documented answer and changes nothing.

After each case the policy's digest is what it was (unless the input was taken), the books balance, and a good request
is served.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from google.protobuf import field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from banditd.errors import Reason
from banditd_proto.v1 import (
    catalog_service_pb2 as catalog,
)
from banditd_proto.v1 import (
    context_pb2,
    model_pb2,
    outcome_pb2,
    router_pb2,
)
from banditd_proto.v1 import (
    router_admin_service_pb2 as admin,
)
from banditd_proto.v1 import (
    routing_service_pb2 as routing,
)
from tests.server.harness import (
    DIMENSION,
    METHODS,
    REQUEST_TYPES,
    Server,
    batch_request,
    config_for,
    context,
    embedding,
    refused,
    route_request,
    running,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
NAN, INF = float("nan"), float("inf")
LONG = "x" * 10_240


@dataclass(frozen=True)
class Case:
    """An input and its answer.

    Attributes:
        name: What is wrong.
        request: Makes the request; gets the server and the id of a fresh decision.
        code: Expected status; None where the input is fine.
        reason: Expected reason.
        field: Path that the violation and the message name; empty where no field is to blame.
        says: What the message must hold beside the path: what was expected, what came.
    """

    name: str
    request: Callable[[Server, str], Any]
    code: grpc.StatusCode | None
    reason: Reason | None = None
    field: str = ""
    says: tuple[str, ...] = ()


def route(name: str, code: Any, reason: Any = None, field: str = "", *says: str, **changes: Any) -> Case:
    """Return a case of Route."""
    return Case(name, lambda *_: route_request(**changes), code, reason, field, says)


def vector(values: "list[float] | np.ndarray") -> context_pb2.Context:
    """Return a context in the fast form."""
    return context_pb2.Context(embedding_float32=np.array(values, "<f4").tobytes())


def with_value(value: float, at: int = 5) -> context_pb2.Context:
    """Return a context with one value of its own."""
    values = embedding()
    values[at] = value
    return vector(values)


def limits(**changes: Any) -> dict[str, Any]:
    """Return limits as an argument."""
    return {"limits": routing.Limits(**changes)}


def objective(**changes: Any) -> dict[str, Any]:
    """Return an objective as an argument."""
    return {"objective": router_pb2.Objective(**changes)}


RAW = "context.embedding_float32"
ROUTE = [
    route("no context", INVALID, Reason.EMPTY_EMBEDDING, "context", "an embedding", context=None),
    route("empty embedding", INVALID, Reason.EMPTY_EMBEDDING, "context.embedding", "8 values", "no value", context={}),
    *(
        route(f"{n} values", INVALID, Reason.WRONG_DIMENSION, RAW, "(8 float32 values)", f"got {4 * n}",
              context=vector(np.ones(n)))
        for n in (1, 7, 9, 16, 4096, 4097, 1_000_000)
    ),
    *(
        route(f"{n} plain values", INVALID, Reason.WRONG_DIMENSION, "context.embedding", "8 values", f"got {n}",
              context={"embedding": [0.5] * n})
        for n in (1, 7, 9, 16, 1_000_000)
    ),
    route("bytes that are no float32", INVALID, Reason.WRONG_DIMENSION, RAW, "32 bytes", "got 31",
          context={"embedding_float32": bytes(31)}),
    route("both forms", INVALID, Reason.WRONG_DIMENSION, "context.embedding", "only one", "both",
          context=context(embedding=[0.5] * DIMENSION)),
    route("a NaN", INVALID, Reason.NOT_FINITE, f"{RAW}[5]", "a finite number", "nan", context=with_value(NAN)),
    route("an Inf", INVALID, Reason.NOT_FINITE, f"{RAW}[5]", "a finite number", "inf", context=with_value(INF)),
    route("a -Inf", INVALID, Reason.NOT_FINITE, f"{RAW}[0]", "a finite number", "-inf", context=with_value(-INF, 0)),
    route("a plain NaN", INVALID, Reason.NOT_FINITE, "context.embedding[2]", "a finite number", "nan",
          context={"embedding": [0.5, 0.5, NAN, *[0.5] * 5]}),
    route("Inf and -Inf", INVALID, Reason.NOT_FINITE, f"{RAW}[0]", "a finite number",
          context=vector([INF, -INF, *[0.0] * 6])),
    route("float32 max", INVALID, Reason.NORM_OUT_OF_RANGE, f"{RAW}[0]", "65504", "3.40282e+38",
          context=vector([3.4028234e38] * DIMENSION)),
    route("past float16", INVALID, Reason.NORM_OUT_OF_RANGE, f"{RAW}[5]", "65504", "65520",
          context=with_value(-65520.0)),
    route("a plain value past float32", INVALID, Reason.NOT_FINITE, "context.embedding[0]", "a finite number",
          context={"embedding": [float("inf"), *[0.5] * 7]}),
    route("float16 max", None, context=vector([65504.0] * DIMENSION)),
    route("all zeros", None, context=vector(np.zeros(DIMENSION))),
    route("all minus zeros", None, context=vector(-np.zeros(DIMENSION))),
    route("denormals", None, context=vector([1e-42] * DIMENSION)),
    route("a tiny norm", None, context=vector(embedding() * 1e-6)),
    route("a norm of 1000", None, context=vector(embedding() * 1000)),
    route("plain values", None, context={"embedding": embedding().tolist()}),
    route("an unknown router", NOT_FOUND, Reason.ROUTER_NOT_FOUND, "", "router_id", "'other'", router_id="other"),
    route("a router name of 10 KB", INVALID, Reason.BAD_NAME, "router_id", "10240 characters", router_id=LONG),
    route("a router name with a newline", INVALID, Reason.BAD_NAME, "router_id", router_id="default\n"),
    route("a request id of 10 KB", INVALID, Reason.BAD_REQUEST_ID, "request_id", "{1,64}", "10240 characters",
          request_id=LONG),
    route("a request id of 65", INVALID, Reason.BAD_REQUEST_ID, "request_id", "65 characters", request_id="x" * 65),
    route("control characters in a request id", INVALID, Reason.BAD_REQUEST_ID, "request_id", request_id="a\x00b"),
    route("a newline after a request id", INVALID, Reason.BAD_REQUEST_ID, "request_id", request_id="abc\n"),
    route("a request id in another script", INVALID, Reason.BAD_REQUEST_ID, "request_id", request_id="café"),
    route("a request id of 64", None, request_id="r" * 64),
    route("an empty request id", None, request_id=""),
    route("negative tokens", INVALID, Reason.TOKENS_OUT_OF_RANGE, "context.input_token_count", "0..100000000", "got -1",
          context=context(input_token_count=-1)),
    route("too many tokens", INVALID, Reason.TOKENS_OUT_OF_RANGE, "context.input_token_count", "0..100000000",
          "got 100000001", context=context(input_token_count=100_000_001)),
    route("the least integer", INVALID, Reason.TOKENS_OUT_OF_RANGE, "context.input_token_count",
          "got -9223372036854775808", context=context(input_token_count=-(2**63))),
    route("no tokens", None, context=context(input_token_count=0)),
    route("a category of 10 KB", INVALID, Reason.OUT_OF_RANGE, "context.category", "128 bytes",
          context=context(category=LONG)),
    route("a category of 129 bytes", INVALID, Reason.OUT_OF_RANGE, "context.category", "128 bytes",
          "got 129", context=context(category="é" * 64 + "e")),
    route("a category of 128 bytes", None, context=context(category="é" * 64)),
    route("a session of 10 KB", INVALID, Reason.OUT_OF_RANGE, "context.session_id", "128 bytes",
          context=context(session_id=LONG)),
    route("an embedding model of 10 KB", INVALID, Reason.OUT_OF_RANGE, "context.embedding_model", "128 characters",
          "10240", context=context(embedding_model=LONG)),
    route("an embedding model where any is taken", None, context=context(embedding_model="some")),
    Case("an embedding model that is not expected",
         lambda *_: route_request(router_id="versioned", context=context(embedding_model="other")),
         PRECONDITION, Reason.EMBEDDING_VERSION, "", ("context.embedding_model", "'expected'", "'other'")),
    route("an unknown candidate", INVALID, Reason.UNKNOWN_MODEL, "candidate_model_ids[1]", "of the catalogue", "'gone'",
          candidate_model_ids=["small", "gone"]),
    route("an empty candidate", INVALID, Reason.UNKNOWN_MODEL, "candidate_model_ids[0]", candidate_model_ids=[""]),
    route("a candidate of 10 KB", INVALID, Reason.UNKNOWN_MODEL, "candidate_model_ids[0]", "no model's name",
          candidate_model_ids=[LONG]),
    Case("a candidate that the router does not offer",
         lambda *_: route_request(router_id="versioned", candidate_model_ids=["large"]),
         INVALID, Reason.UNKNOWN_MODEL, "candidate_model_ids[0]", ("the router offers", "'large'")),
    route("a candidate twice", INVALID, Reason.DUPLICATE_MODEL, "candidate_model_ids[2]", "each model once", "'small'",
          candidate_model_ids=["small", "large", "small"]),
    route("10,000 candidates", INVALID, Reason.TOO_MANY_CANDIDATES, "candidate_model_ids", "at most 64", "10000",
          candidate_model_ids=["small"] * 10_000),
    route("65 candidates", INVALID, Reason.TOO_MANY_CANDIDATES, "candidate_model_ids", "at most 64", "65",
          candidate_model_ids=["small"] * 65),
    route("one candidate", None, candidate_model_ids=["small"]),
    *(
        route(f"{name} = {value}", INVALID, Reason.BAD_CONSTRAINT, f"limits.{name}", f"{value}",
              **limits(**{name: value}))
        for name in ("cost_usd_max", "latency_ms_max", "quality_min")
        for value in (NAN, INF, -INF, -0.5)
    ),
    route("a quality floor above 1", INVALID, Reason.BAD_CONSTRAINT, "limits.quality_min", "0..1",
          **limits(quality_min=1.0000001)),
    *(
        route(f"latency_percentile = {value}", INVALID, Reason.BAD_CONSTRAINT, "limits.latency_percentile", "1..99.9",
              **limits(latency_percentile=value, latency_ms_max=1e9))
        for value in (NAN, INF, -1.0, 0.0, 0.999, 99.91, 100.0)
    ),
    route("a percentile of no limit", INVALID, Reason.BAD_CONSTRAINT, "limits.latency_ms_max", "latency_percentile",
          **limits(latency_percentile=99.0)),
    route("the largest percentile", None, **limits(latency_percentile=99.9, latency_ms_max=1e9)),
    route("33 required tags", INVALID, Reason.OUT_OF_RANGE, "limits.required_tags", "at most 32", "33",
          **limits(required_tags=["t"] * 33)),
    route("an empty tag", INVALID, Reason.OUT_OF_RANGE, "limits.required_tags[0]", "1..64 characters",
          **limits(required_tags=[""])),
    route("a tag of 10 KB", INVALID, Reason.OUT_OF_RANGE, "limits.required_tags[0]", "1..64 characters", "10240",
          **limits(required_tags=[LONG])),
    route("limits that nobody meets", PRECONDITION, Reason.NO_ELIGIBLE_MODEL, "", "small: COST_LIMIT",
          **limits(cost_usd_max=0.0)),
    route("a latency that nobody meets", PRECONDITION, Reason.NO_ELIGIBLE_MODEL, "", "small: LATENCY_LIMIT",
          **limits(latency_ms_max=0.0)),
    route("a quality that nobody meets", PRECONDITION, Reason.NO_ELIGIBLE_MODEL, "", "small: QUALITY_FLOOR",
          **limits(quality_min=1.0)),
    route("a tag that nobody has", PRECONDITION, Reason.NO_ELIGIBLE_MODEL, "", "small: TAG_MISSING",
          **limits(required_tags=["nowhere"])),
    route("a prompt that fits nowhere", PRECONDITION, Reason.NO_ELIGIBLE_MODEL, "", "small: CONTEXT_WINDOW",
          context=context(input_token_count=2_000_000)),
    route("a huge limit", None, **limits(cost_usd_max=1.7e308, latency_ms_max=1.7e308)),
    *(
        route(f"usd_weight = {value}", INVALID, Reason.NOT_FINITE, "objective.usd_weight", "0..1000000000",
              **objective(usd_weight=value))
        for value in (NAN, INF)
    ),
    route("a negative weight", INVALID, Reason.OUT_OF_RANGE, "objective.second_weight", "0..1000000", "-1",
          **objective(second_weight=-1.0)),
    route("a weight beyond its range", INVALID, Reason.OUT_OF_RANGE, "objective.usd_weight", "0..1000000000",
          "1000000001", **objective(usd_weight=1_000_000_001.0)),
    route("the largest weights", None, **objective(usd_weight=1e9, second_weight=1e6)),
    route("a denormal weight", None, **objective(usd_weight=5e-324)),
]  # fmt: skip


def batch(name: str, code: Any, reason: Any = None, field: str = "", *says: str, **changes: Any) -> Case:
    """Return a case of RouteBatch."""
    return Case(name, lambda *_: batch_request(**changes), code, reason, field, says)


def rows_with(value: float) -> bytes:
    """Return three rows, the second with one value of its own."""
    values = np.stack([embedding(row) for row in range(3)])
    values[1, 2] = value
    return values.astype("<f4").tobytes()


ROUTE_BATCH = [
    batch("no rows", INVALID, Reason.BATCH_SIZE, "row_count", "1..1024", "got 0", row_count=0),
    batch("negative rows", INVALID, Reason.BATCH_SIZE, "row_count", "1..1024", "got -1", row_count=-1),
    batch("1,025 rows", INVALID, Reason.BATCH_SIZE, "row_count", "1..1024", "got 1025", rows=1025),
    batch("the most rows there can be", INVALID, Reason.BATCH_SIZE, "row_count", "2147483647", row_count=2**31 - 1),
    batch("no embeddings", INVALID, Reason.EMPTY_EMBEDDING, "embeddings_float32", "3 rows", embeddings_float32=b""),
    batch("a row too few", INVALID, Reason.WRONG_DIMENSION, "embeddings_float32", row_count=4),
    batch("a byte too many", INVALID, Reason.WRONG_DIMENSION, "embeddings_float32", "a multiple of 12 bytes", "97",
          embeddings_float32=bytes(97)),
    batch("rows of another dimension", INVALID, Reason.WRONG_DIMENSION, "embeddings_float32", "8 values", "got 9",
          embeddings_float32=bytes(3 * 4 * 9)),
    batch("a NaN", INVALID, Reason.NOT_FINITE, "embeddings_float32[10]", "a finite number", "nan",
          embeddings_float32=rows_with(NAN)),
    batch("past float16", INVALID, Reason.NORM_OUT_OF_RANGE, "embeddings_float32[10]", "65504",
          embeddings_float32=rows_with(1e6)),
    batch("a short column of tokens", INVALID, Reason.BATCH_SIZE, "input_token_counts", "3 values", "got 2",
          input_token_counts=[1, 2]),
    batch("tokens of -2", INVALID, Reason.TOKENS_OUT_OF_RANGE, "input_token_counts[1]", "0..100000000", "got -2",
          input_token_counts=[1, -2, 3]),
    batch("unknown tokens", None, input_token_counts=[1, -1, 3]),
    batch("a long column of categories", INVALID, Reason.BATCH_SIZE, "categories", "3 values", "got 4",
          categories=["a"] * 4),
    batch("a short column of sessions", INVALID, Reason.BATCH_SIZE, "session_ids", "3 values", "got 2",
          session_ids=["a", "b"]),
    batch("a session of 10 KB", INVALID, Reason.OUT_OF_RANGE, "session_ids[1]", "128 bytes",
          session_ids=["", LONG, ""]),
    batch("a category of 10 KB", INVALID, Reason.OUT_OF_RANGE, "categories[2]", "128 bytes", categories=["", "", LONG]),
    batch("an unknown router", NOT_FOUND, Reason.ROUTER_NOT_FOUND, "", "'other'", router_id="other"),
    batch("a bad request id", INVALID, Reason.BAD_REQUEST_ID, "request_id", request_id="a b"),
    batch("an unknown candidate", INVALID, Reason.UNKNOWN_MODEL, "candidate_model_ids[0]", "'gone'",
          candidate_model_ids=["gone"]),
    batch("an embedding model that is not expected", PRECONDITION, Reason.EMBEDDING_VERSION, "", "embedding_model",
          router_id="versioned", embedding_model="other"),
    batch("an embedding model of 10 KB", INVALID, Reason.OUT_OF_RANGE, "embedding_model", embedding_model=LONG),
    batch("a NaN limit", INVALID, Reason.BAD_CONSTRAINT, "limits.cost_usd_max", **limits(cost_usd_max=NAN)),
    batch("a NaN weight", INVALID, Reason.NOT_FINITE, "objective.usd_weight", **objective(usd_weight=NAN)),
    batch("limits that nobody meets", PRECONDITION, Reason.NO_ELIGIBLE_MODEL, "", "COST_LIMIT",
          **limits(cost_usd_max=0.0)),
    batch("a row that fits nowhere", PRECONDITION, Reason.NO_ELIGIBLE_MODEL, "", "CONTEXT_WINDOW",
          input_token_counts=[1, 2_000_000, 1]),
    batch("1,024 rows", None, rows=1024),
]  # fmt: skip


def outcome(name: str, code: Any, reason: Any = None, field: str = "", *says: str, **facts: Any) -> Case:
    """Return a case of RecordOutcome on a fresh decision."""

    def request(_: Server, decision_id: str) -> Any:
        return routing.RecordOutcomeRequest(outcome=outcome_pb2.Outcome(**({"decision_id": decision_id} | facts)))

    return Case(name, request, code, reason, field, says)


def altered(alter: Callable[[str], str]) -> Callable[[Server, str], Any]:
    """Return a maker of outcomes whose decision id was tampered with."""
    return lambda _, decision_id: routing.RecordOutcomeRequest(
        outcome=outcome_pb2.Outcome(decision_id=alter(decision_id), quality=0.5)
    )


def flip_bit(at: int) -> Callable[[str], str]:
    """Return what flips one bit of an id."""

    def flip(decision_id: str) -> str:
        raw = bytearray.fromhex(decision_id)
        raw[at // 8] ^= 1 << at % 8
        return raw.hex()

    return flip


BAD_ID = ("expected an id that Route returned, got another value",)
OUTCOME = [
    *(
        Case(f"a decision id {name}", altered(alter), INVALID, Reason.INVALID_DECISION_ID, "outcome.decision_id",
             BAD_ID)
        for name, alter in {
            "that is empty": lambda _: "",
            "with its first bit flipped": flip_bit(0),
            "with its epoch flipped": flip_bit(62),
            "with its last bit flipped": flip_bit(127),
            "cut short": lambda text: text[:-2],
            "cut by half a byte": lambda text: text[:-1],
            "with more at its end": lambda text: text + "00",
            "that is no hexadecimal": lambda text: "zz" + text[2:],
            "with spaces": lambda text: " " + text[1:31] + " ",
            "of 10 KB": lambda _: LONG,
            "of zeros": lambda _: "0" * 32,
            "in another script": lambda text: text[:-1] + "é",
        }.items()
    ),
    Case("a missing outcome", lambda *_: routing.RecordOutcomeRequest(), INVALID, Reason.INVALID_DECISION_ID,
         "outcome.decision_id", BAD_ID),
    *(
        outcome(f"quality = {value}", INVALID, Reason.NOT_FINITE, "outcome.quality", "0..1", f"{value}", quality=value)
        for value in (NAN, INF, -INF)
    ),
    *(
        outcome(f"quality = {value}", INVALID, Reason.QUALITY_OUT_OF_RANGE, "outcome.quality", "0..1", says,
                quality=value)
        for value, says in ((1e6, "1000000"), (-1e6, "-1000000"), (1.0000000000000002, "1.0000000000000002"),
                            (-5e-324, "-5e-324"))
    ),
    *(outcome(f"quality = {value}", None, quality=value) for value in (0.0, 1.0, -0.0, 5e-324)),
    *(
        outcome(f"{name} = {value}", INVALID, reason, f"outcome.{name}", f"0..{high}", **{name: value})
        for name, reason, high, values in (
            ("cost_usd", Reason.COST_OUT_OF_RANGE, "1000000", (NAN, INF, -INF, -1e-9, 1e12)),
            ("latency_ms", Reason.LATENCY_OUT_OF_RANGE, "86400000", (NAN, INF, -1.0, 86_400_001.0)),
            ("input_token_count", Reason.TOKENS_OUT_OF_RANGE, "100000000", (-1, 100_000_001, 2**63 - 1, -(2**63))),
            ("output_token_count", Reason.TOKENS_OUT_OF_RANGE, "100000000", (-1, 100_000_001)),
            ("cached_input_token_count", Reason.TOKENS_OUT_OF_RANGE, "100000000", (-1, 100_000_001)),
        )
        for value in values
    ),
    outcome("more cached tokens than were read", INVALID, Reason.TOKENS_OUT_OF_RANGE,
            "outcome.cached_input_token_count", "0..100", "got 101",
            input_token_count=100, cached_input_token_count=101),
    outcome("as many cached tokens as were read", None, input_token_count=100, cached_input_token_count=100),
    outcome("no cost", None, cost_usd=0.0),
    outcome("the largest values", None, cost_usd=1e6, latency_ms=86_400_000.0, input_token_count=100_000_000,
            output_token_count=100_000_000),
    outcome("denormal values", None, cost_usd=5e-324, latency_ms=5e-324),
    outcome("nothing seen", INVALID, Reason.EMPTY_OUTCOME, "outcome", "none of them"),
    outcome("nothing seen but an id", INVALID, Reason.EMPTY_OUTCOME, "outcome", outcome_id="o"),
    outcome("an outcome id of 10 KB", INVALID, Reason.BAD_OUTCOME_ID, "outcome.outcome_id", "{1,64}", outcome_id=LONG,
            quality=0.5),
    outcome("control characters in an outcome id", INVALID, Reason.BAD_OUTCOME_ID, "outcome.outcome_id",
            outcome_id="a\tb", quality=0.5),
    outcome("an unknown failure", INVALID, Reason.UNKNOWN_FAILURE, "outcome.failure", "a value of Failure", "got 99",
            failure=99),
    outcome("a negative failure", INVALID, Reason.UNKNOWN_FAILURE, "outcome.failure", "got -1", failure=-1),
    outcome("an unknown served model", INVALID, Reason.UNKNOWN_MODEL, "outcome.served_model_id", "a candidate",
            "'gone'", served_model_id="gone", quality=0.5),
    outcome("a served model of 10 KB", INVALID, Reason.UNKNOWN_MODEL, "outcome.served_model_id", "no model's name",
            served_model_id=LONG, quality=0.5),
    *(
        outcome(f"observed {name}", INVALID, Reason.BAD_TIMESTAMP, "outcome.observe_time", quality=0.5,
                observe_time=timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos))
        for name, seconds, nanos in (
            ("in 1970", 1, 0), ("before 1970", -1, 0), ("at no second", 0, 0), ("in 9999", 253_402_300_799, 0),
            ("after 9999", 253_402_300_800, 0), ("at the end of integers", 2**63 - 1, 0),
            ("at negative nanoseconds", 1_900_000_000, -1), ("at too many nanoseconds", 1_900_000_000, 10**9),
        )
    ),
]  # fmt: skip


def other_candidate(server: Server, decision_id: str) -> Any:
    """Return an outcome that names a model that is none of the decision's candidates."""
    del server
    return routing.RecordOutcomeRequest(
        outcome=outcome_pb2.Outcome(decision_id=decision_id, quality=0.5, served_model_id="unlisted")
    )


OUTCOME.append(
    Case("a served model that was no candidate", other_candidate, INVALID, Reason.UNKNOWN_MODEL,
         "outcome.served_model_id", ("a candidate of the decision",))
)  # fmt: skip

OUTCOMES = [
    Case("no outcomes", lambda *_: routing.RecordOutcomesRequest(), INVALID, Reason.BATCH_SIZE, "outcomes",
         ("1..1000", "got 0")),
    Case("1,001 outcomes", lambda *_: routing.RecordOutcomesRequest(outcomes=[outcome_pb2.Outcome()] * 1001), INVALID,
         Reason.BATCH_SIZE, "outcomes", ("1..1000", "got 1001")),
    Case("10,001 outcomes", lambda *_: routing.RecordOutcomesRequest(outcomes=[outcome_pb2.Outcome()] * 10_001),
         INVALID, Reason.BATCH_SIZE, "outcomes", ("1..1000", "got 10001")),
    Case("more than a message may hold",
         lambda _, i: routing.RecordOutcomesRequest(
             outcomes=[outcome_pb2.Outcome(decision_id=i, outcome_id=LONG, quality=0.5)] * 110),
         EXHAUSTED, Reason.MESSAGE_TOO_LARGE, "", ("request", "1048576 bytes")),
]  # fmt: skip

DECISION = [
    Case(f"a decision id {name}", lambda *_, text=text: routing.GetDecisionRequest(decision_id=text), INVALID,
         Reason.INVALID_DECISION_ID, "decision_id", BAD_ID)
    for name, text in {"that is empty": "", "of zeros": "0" * 32, "of 10 KB": LONG}.items()
]  # fmt: skip


def model(name: str, code: Any, reason: Any = None, field: str = "", *says: str, **fields: Any) -> Case:
    """Return a case of CreateModel."""
    request = catalog.CreateModelRequest(model=model_pb2.Model(**({"model_id": "fresh"} | fields)))
    return Case(name, lambda *_: request, code, reason, field, says)


def price(input_usd: float, output_usd: float) -> dict[str, Any]:
    """Return a price as an argument."""
    return {"price": model_pb2.Price(input_mtok_usd=input_usd, output_mtok_usd=output_usd)}


MODEL_NAMES = {"empty": "", "of 10 KB": LONG, "with a space": "a b", "with a NUL": "a\x00", "of 129": "m" * 129,
               "with a newline": "gpt\n"}  # fmt: skip
CREATE_MODEL = [
    *(
        model(f"a name {name}", INVALID, Reason.BAD_NAME, "model.model_id", "{1,128}", model_id=text)
        for name, text in MODEL_NAMES.items()
    ),
    model("an existing name", EXISTS, Reason.MODEL_EXISTS, "", "'small'", model_id="small"),
    *(
        model(f"an input price of {value}", INVALID, reason, "model.price.input_mtok_usd", "0..1000000",
              **price(value, 1.0))
        for value, reason in ((NAN, Reason.NOT_FINITE), (INF, Reason.NOT_FINITE), (-1.0, Reason.OUT_OF_RANGE),
                              (1e7, Reason.OUT_OF_RANGE))
    ),
    *(
        model(f"{name} = {value}", INVALID, reason, f"model.price.{name}", "0..1000000",
              price=model_pb2.Price(**{name: value}))
        for name in ("cached_input_mtok_usd", "request_usd")
        for value, reason in ((NAN, Reason.NOT_FINITE), (-INF, Reason.NOT_FINITE), (-1.0, Reason.OUT_OF_RANGE),
                              (1e7, Reason.OUT_OF_RANGE))
    ),
    model("an output price of NaN", INVALID, Reason.NOT_FINITE, "model.price.output_mtok_usd", **price(1.0, NAN)),
    model("a negative window", INVALID, Reason.OUT_OF_RANGE, "model.context_window_token_count", "got -1",
          context_window_token_count=-1),
    model("a window beyond its range", INVALID, Reason.OUT_OF_RANGE, "model.context_window_token_count",
          "0..100000000", "got 100000001", context_window_token_count=100_000_001),
    model("33 tags", INVALID, Reason.OUT_OF_RANGE, "model.tags", "at most 32", tags=[f"t{i}" for i in range(33)]),
    model("an empty tag", INVALID, Reason.OUT_OF_RANGE, "model.tags[1]", tags=["a", ""]),
    model("a tag of 65", INVALID, Reason.OUT_OF_RANGE, "model.tags[0]", "1..64 characters", "65", tags=["t" * 65]),
    model("an unknown state", INVALID, Reason.OUT_OF_RANGE, "model.state", "ModelState", "99", state=99),
    *(
        model(f"quality_guess = {value}", INVALID, reason, "model.quality_guess", "0..1", quality_guess=value)
        for value, reason in ((NAN, Reason.NOT_FINITE), (1.1, Reason.OUT_OF_RANGE), (-0.1, Reason.OUT_OF_RANGE))
    ),
    *(
        model(f"latency_ms_guess = {value}", INVALID, reason, "model.latency_ms_guess", latency_ms_guess=value)
        for value, reason in ((NAN, Reason.NOT_FINITE), (0.0, Reason.OUT_OF_RANGE), (1e9, Reason.OUT_OF_RANGE))
    ),
]  # fmt: skip


def update(name: str, paths: list[str], *expected: Any, **fields: Any) -> Case:
    """Return a case of UpdateModel."""
    code, reason, field, *says = expected
    request = catalog.UpdateModelRequest(
        model=model_pb2.Model(**({"model_id": "small"} | fields)), update_mask=field_mask_pb2.FieldMask(paths=paths)
    )
    return Case(name, lambda *_: request, code, reason, field, tuple(says))


UPDATE_MODEL = [
    update("no mask", [], INVALID, Reason.BAD_UPDATE_MASK, "update_mask", "at least one"),
    update("an unknown field", ["colour"], INVALID, Reason.BAD_UPDATE_MASK, "update_mask", "price", "'colour'"),
    update("a field inside a field", ["price.input_mtok_usd"], INVALID, Reason.BAD_UPDATE_MASK, "update_mask"),
    update("a star", ["*"], INVALID, Reason.BAD_UPDATE_MASK, "update_mask", "'*'"),
    update("the name", ["model_id"], INVALID, Reason.BAD_UPDATE_MASK, "update_mask", "'model_id'"),
    update("what only the server sets", ["create_time"], INVALID, Reason.BAD_UPDATE_MASK, "update_mask"),
    update("a path of 10 KB", [LONG], INVALID, Reason.BAD_UPDATE_MASK, "update_mask", "another field"),
    update("no state", ["state"], INVALID, Reason.OUT_OF_RANGE, "model.state", "ENABLED or DISABLED", "UNSPECIFIED"),
    update("an unknown state", ["state"], INVALID, Reason.OUT_OF_RANGE, "model.state", "99", state=99),
    update("an unknown model", ["tags"], NOT_FOUND, Reason.MODEL_NOT_FOUND, "", "'gone'", model_id="gone"),
    update("a bad name", ["tags"], INVALID, Reason.BAD_NAME, "model.model_id", model_id="a b"),
    update("a price of NaN", ["price"], INVALID, Reason.NOT_FINITE, "model.price.input_mtok_usd", **price(NAN, 1)),
]  # fmt: skip

GET_MODEL = [
    *(
        Case(f"a name {name}", lambda *_, text=text: catalog.GetModelRequest(model_id=text), INVALID, Reason.BAD_NAME,
             "model_id", ("{1,128}",))
        for name, text in MODEL_NAMES.items()
    ),
    Case("an unknown model", lambda *_: catalog.GetModelRequest(model_id="gone"), NOT_FOUND, Reason.MODEL_NOT_FOUND,
         "", ("'gone'",)),
]  # fmt: skip
DELETE_MODEL = [
    Case("an unknown model", lambda *_: catalog.DeleteModelRequest(model_id="gone"), NOT_FOUND,
         Reason.MODEL_NOT_FOUND, "", ("'gone'",)),
    Case("a bad name", lambda *_: catalog.DeleteModelRequest(model_id="a b"), INVALID, Reason.BAD_NAME, "model_id"),
    Case("a model that a router names", lambda *_: catalog.DeleteModelRequest(model_id="small"), PRECONDITION,
         Reason.MODEL_IN_USE, "", ("'versioned'", "'small'")),
]  # fmt: skip


def pages(request_type: type[Any], size_max: int) -> list[Case]:
    """Return the cases of a method that lists."""
    return [
        *(
            Case(f"page_size = {size}", lambda *_, size=size: request_type(page_size=size), INVALID,
                 Reason.OUT_OF_RANGE, "page_size", (f"0..{size_max}", f"got {size}"))
            for size in (-1, size_max + 1, 2**31 - 1, -(2**31))
        ),
        *(
            Case(f"a page token {name}", lambda *_, token=token: request_type(page_token=token), INVALID,
                 Reason.BAD_PAGE_TOKEN, "page_token")
            for name, token in {"of letters": "abc", "below zero": "-1", "past the end": "999999", "of 10 KB": LONG,
                                "of 10,000 digits": "9" * 10_000, "in other digits": "٣", "with a space": "1 "}.items()
        ),
    ]  # fmt: skip


def router(name: str, code: Any, reason: Any = None, field: str = "", *says: str, **fields: Any) -> Case:
    """Return a case of CreateRouter."""
    request = admin.CreateRouterRequest(router=router_pb2.Router(**({"router_id": "fresh"} | fields)))
    return Case(name, lambda *_: request, code, reason, field, says)


def policy(preset: str = "linucb", **parameters: float) -> dict[str, Any]:
    """Return a policy as an argument."""
    return {"policy": router_pb2.Policy(preset=preset, parameters=parameters)}


CREATE_ROUTER = [
    *(
        router(f"a name {name}", INVALID, Reason.BAD_NAME, "router.router_id", "{1,64}", router_id=text)
        for name, text in (("empty", ""), ("of 10 KB", LONG), ("with a slash", "a/b"), ("of 65", "r" * 65))
    ),
    router("an existing name", EXISTS, Reason.ROUTER_EXISTS, "", "'default'", router_id="default",
           embedding_dimension=16),
    *(
        router(f"a dimension of {n}", INVALID, Reason.OUT_OF_RANGE, "router.embedding_dimension", "2..4096", f"got {n}",
               embedding_dimension=n)
        for n in (-1, 1, 4097, 2**31 - 1)
    ),
    router("an embedding model of 10 KB", INVALID, Reason.OUT_OF_RANGE, "router.embedding_model", "128 bytes",
           embedding_model=LONG),
    router("an unknown model", INVALID, Reason.UNKNOWN_MODEL, "router.model_ids[1]", "of the catalogue", "'gone'",
           model_ids=["small", "gone"]),
    router("a model twice", INVALID, Reason.DUPLICATE_MODEL, "router.model_ids", "each model once",
           model_ids=["small", "small"]),
    router("65 models", INVALID, Reason.TOO_MANY_CANDIDATES, "router.model_ids", "at most 64", "65",
           model_ids=[f"m{i}" for i in range(65)]),
    router("a model name of 10 KB", INVALID, Reason.BAD_NAME, "router.model_ids[0]", model_ids=[LONG]),
    router("an unknown policy", INVALID, Reason.UNKNOWN_POLICY, "router.policy.preset", "linucb", "'best'",
           **policy("best")),
    router("no policy name", INVALID, Reason.UNKNOWN_POLICY, "router.policy.preset", **policy("")),
    router("a policy name of 10 KB", INVALID, Reason.UNKNOWN_POLICY, "router.policy.preset", **policy(LONG)),
    router("an unknown parameter", INVALID, Reason.BAD_POLICY_PARAMETER, "router.policy.parameters", "alpha", "'beta'",
           **policy(beta=1.0)),
    *(
        router(f"floor = {value}", INVALID, Reason.BAD_POLICY_PARAMETER, "router.policy.parameters['floor']", "0..1",
               **policy(floor=value))
        for value in (NAN, INF, -0.1, 1.1)
    ),
    router("a text of another preset", INVALID, Reason.BAD_POLICY_PARAMETER, "router.policy.texts", "none for this",
           policy=router_pb2.Policy(preset="linucb", texts={"command_line": "--cb_explore_adf"})),
    router("an option that writes a file", INVALID, Reason.BAD_POLICY_PARAMETER, "router.policy.texts['command_line']",
           "--final_regressor",
           policy=router_pb2.Policy(preset="vowpal_bag", texts={"command_line": "--cb_explore_adf --final_regressor"})),
    router("a bad interaction", INVALID, Reason.BAD_POLICY_PARAMETER, "router.policy.texts['interactions']",
           "'sx'", policy=router_pb2.Policy(preset="vowpal_bag", texts={"interactions": "sx"})),
    router("a fallback that is not there", INVALID, Reason.UNKNOWN_MODEL, "router.fallback_model_id", "'gone'",
           fallback_model_id="gone"),
    router("a fallback that it does not offer", INVALID, Reason.UNKNOWN_MODEL, "router.fallback_model_id",
           "one of router.model_ids", "'large'", model_ids=["small"], fallback_model_id="large"),
    router("a fallback of 10 KB", INVALID, Reason.BAD_NAME, "router.fallback_model_id", fallback_model_id=LONG),
    *(
        router(f"a window of {n}", INVALID, Reason.OUT_OF_RANGE, "router.attribution_window_ms", "1000..7776000000",
               f"got {n}", attribution_window_ms=n)
        for n in (-1, 999, 7_776_000_001)
    ),
    *(
        router(f"{name} = {value}", INVALID, reason, f"router.{name}", "0..1", **{name: value})
        for name in ("default_quality", "quality_guess")
        for value, reason in ((NAN, Reason.NOT_FINITE), (1.5, Reason.OUT_OF_RANGE), (-0.5, Reason.OUT_OF_RANGE))
    ),
    router("a weight of NaN", INVALID, Reason.NOT_FINITE, "router.objective.usd_weight",
           objective=router_pb2.Objective(usd_weight=NAN)),
    *(
        router(f"switch_usd = {value}", INVALID, reason, "router.switch_usd", "0..1000000", switch_usd=value)
        for value, reason in ((NAN, Reason.NOT_FINITE), (-0.1, Reason.OUT_OF_RANGE), (1e7, Reason.OUT_OF_RANGE))
    ),
    router("a negative weight", INVALID, Reason.OUT_OF_RANGE, "router.objective.second_weight",
           objective=router_pb2.Objective(second_weight=-1.0)),
]  # fmt: skip


def update_router(name: str, paths: list[str], *expected: Any, **fields: Any) -> Case:
    """Return a case of UpdateRouter."""
    code, reason, field, *says = expected
    request = admin.UpdateRouterRequest(
        router=router_pb2.Router(**({"router_id": "default"} | fields)),
        update_mask=field_mask_pb2.FieldMask(paths=paths),
    )
    return Case(name, lambda *_: request, code, reason, field, tuple(says))


UPDATE_ROUTER = [
    update_router("no mask", [], INVALID, Reason.BAD_UPDATE_MASK, "update_mask"),
    update_router("an unknown field", ["colour"], INVALID, Reason.BAD_UPDATE_MASK, "update_mask", "'colour'"),
    update_router("the name", ["router_id"], INVALID, Reason.BAD_UPDATE_MASK, "update_mask", "'router_id'"),
    update_router("an unknown router", ["objective"], NOT_FOUND, Reason.ROUTER_NOT_FOUND, "", "'gone'",
                  router_id="gone"),
    update_router("another dimension", ["embedding_dimension"], PRECONDITION, Reason.DIMENSION_FIXED, "",
                  "fixed at 8", embedding_dimension=16),
    update_router("no dimension", ["embedding_dimension"], PRECONDITION, Reason.DIMENSION_FIXED, ""),
    update_router("an unknown model", ["model_ids"], INVALID, Reason.UNKNOWN_MODEL, "router.model_ids[0]", "'gone'",
                  model_ids=["gone"]),
    update_router("an unknown policy", ["policy"], INVALID, Reason.UNKNOWN_POLICY, "router.policy.preset",
                  **policy("best")),
]  # fmt: skip

NAMED_ROUTER = {
    "GetRouter": admin.GetRouterRequest,
    "DeleteRouter": admin.DeleteRouterRequest,
    "GetPolicyStatus": admin.GetPolicyStatusRequest,
    "ListSnapshots": admin.ListSnapshotsRequest,
    "RestoreSnapshot": admin.RestoreSnapshotRequest,
}


def named(request_type: type[Any]) -> list[Case]:
    """Return the cases of a method that names a router."""
    return [
        Case("an unknown router", lambda *_: request_type(router_id="gone"), NOT_FOUND, Reason.ROUTER_NOT_FOUND, "",
             ("'gone'",)),
        Case("a name of 10 KB", lambda *_: request_type(router_id=LONG), INVALID, Reason.BAD_NAME, "router_id"),
        Case("a name with a NUL", lambda *_: request_type(router_id="a\x00"), INVALID, Reason.BAD_NAME, "router_id"),
    ]  # fmt: skip


RESTORE = [
    Case(f"version {n}", lambda *_, n=n: admin.RestoreSnapshotRequest(policy_version=n), NOT_FOUND,
         Reason.SNAPSHOT_NOT_FOUND, "", ("policy_version", f"{n}"))
    for n in (0, -1, 2**63 - 1)
]  # fmt: skip

TABLE: dict[str, list[Case]] = {
    "Route": ROUTE,
    "RouteBatch": ROUTE_BATCH,
    "RecordOutcome": OUTCOME,
    "RecordOutcomes": OUTCOMES,
    "GetDecision": DECISION,
    "CreateModel": CREATE_MODEL,
    "GetModel": GET_MODEL,
    "ListModels": pages(catalog.ListModelsRequest, 256),
    "UpdateModel": UPDATE_MODEL,
    "DeleteModel": DELETE_MODEL,
    "CreateRouter": CREATE_ROUTER,
    "GetRouter": named(admin.GetRouterRequest),
    "ListRouters": pages(admin.ListRoutersRequest, 64),
    "UpdateRouter": UPDATE_ROUTER,
    "DeleteRouter": [
        *named(admin.DeleteRouterRequest),
        Case("the default router", lambda *_: admin.DeleteRouterRequest(router_id="default"), PRECONDITION,
             Reason.DEFAULT_ROUTER, "", ("default",)),
        Case("no name", lambda *_: admin.DeleteRouterRequest(), INVALID, Reason.BAD_NAME, "router_id"),
    ],
    "GetPolicyStatus": named(admin.GetPolicyStatusRequest),
    "ListSnapshots": [*named(admin.ListSnapshotsRequest), *pages(admin.ListSnapshotsRequest, 100)],
    "RestoreSnapshot": [*named(admin.RestoreSnapshotRequest), *RESTORE],
    "ListPolicies": [*named(admin.ListPoliciesRequest), *pages(admin.ListPoliciesRequest, 9)],
    "PromotePolicy": named(admin.PromotePolicyRequest),
    "RollbackPolicy": named(admin.RollbackPolicyRequest),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def furniture(shared: Server) -> None:
    """Add a router of an expected embedding model with a decision's worth of dimension, and a model of no router."""
    await shared.add_router(
        "versioned", embedding_model="expected", embedding_dimension=DIMENSION, model_ids=["small", "medium"]
    )


async def fresh_decision(server: Server) -> str:
    """Return the id of a decision among two of the models."""
    return (await server.route(candidate_model_ids=["small", "medium", "large"])).decision_id


async def check_after(server: Server, digest: str, *, taken: bool) -> None:
    """Check that nothing is harmed: digest, books, and that a good request is served."""
    status = await server.status()
    assert taken or status.state_digest == digest
    answer = await server.route()
    assert 0.0 < answer.propensity <= 1.0
    assert abs(sum(candidate.probability for candidate in answer.candidates) - 1.0) < 1e-9


@pytest.mark.parametrize(
    "method, case",
    [pytest.param(method, case, id=f"{method}: {case.name}") for method, cases in TABLE.items() for case in cases],
)
async def test_bad_input_is_answered_as_documented_and_changes_nothing(shared, method, case):
    """The table above."""
    if case.request is other_candidate and "unlisted" not in {
        m.model_id for m in (await shared.catalog.ListModels(catalog.ListModelsRequest())).models
    }:
        await shared.add_model("unlisted")
    decision_id = await fresh_decision(shared)
    request = case.request(shared, decision_id)
    before = await shared.status()
    if case.code is None:
        await shared.call(method, request)
    else:
        refusal = await refused(shared.call(method, request))
        assert (refusal.code, refusal.reason) == (case.code, case.reason), refusal
        assert refusal.domain == "banditd"
        assert refusal.fields == ([case.field] if case.field else []), refusal
        if case.field:
            assert refusal.message.startswith(f"{case.field}: expected "), refusal.message
            assert ", got " in refusal.message
        for text in case.says:
            assert text in refusal.message
        assert len(refusal.message) < 500, "a message echoes no payload"
        assert LONG[:200] not in refusal.message
        assert "Traceback" not in refusal.message
        after = await shared.status()
        if method == "RecordOutcome":
            assert after.outcomes.rejected_count == before.outcomes.rejected_count + 1
        assert after.outcomes.waiting_count == 0
    await check_after(shared, before.state_digest, taken=case.code is None)


# --- what cannot even be parsed --------------------------------------------------------------------------------------


def tag(number: int, wire_type: int) -> bytes:
    """Return the bytes that announce a field."""
    value, out = number << 3 | wire_type, b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def path_to(descriptor: Descriptor, kind: int) -> list[FieldDescriptor] | None:
    """Return the fields that lead to one of a type; None if none does."""
    for entry in descriptor.fields:
        if entry.type == kind:
            return [entry]
    for entry in descriptor.fields:
        if entry.message_type is not None and (rest := path_to(entry.message_type, kind)):
            return [entry, *rest]
    return None


def wrapped(path: list[FieldDescriptor], leaf: bytes) -> bytes:
    """Return bytes in the place of the last field of a path."""
    out = tag(path[-1].number, 2) + bytes([len(leaf)]) + leaf
    for entry in reversed(path[:-1]):
        out = tag(entry.number, 2) + bytes([len(out)]) + out
    return out


def invalid_utf8(method: str) -> bytes | None:
    """Return a request with a string that is no UTF-8."""
    path = path_to(REQUEST_TYPES[method].DESCRIPTOR, FieldDescriptor.TYPE_STRING)
    return None if path is None else wrapped(path, b"\xff\xfe")


UNPARSABLE = {
    "random bytes": lambda _: bytes.fromhex("fefdfcfbfa00ff17"),
    "a truncated field": lambda method: tag(REQUEST_TYPES[method].DESCRIPTOR.fields[0].number, 2) + b"\x7fabc",
    "a truncated tag": lambda _: b"\x80",
    "field number 0": lambda _: b"\x02\x00",
    "an endless varint": lambda _: b"\x08" + b"\xff" * 11,
    "an end without a start": lambda _: tag(100, 4),
    "groups 200 deep": lambda _: tag(100, 3) * 200 + tag(100, 4) * 200,
    "groups 5,000 deep": lambda _: tag(100, 3) * 5000 + tag(100, 4) * 5000,
    "an open group": lambda _: tag(100, 3) * 50,
    "a string that is no UTF-8": invalid_utf8,
}


@pytest.mark.parametrize("name", UNPARSABLE)
@pytest.mark.parametrize("method", METHODS)
async def test_what_is_no_message_is_malformed(shared, method, name):
    """The library's own answer would be INTERNAL or UNKNOWN."""
    request = UNPARSABLE[name](method)
    if request is None:
        pytest.skip("the request has no string")
    before = await shared.status()
    refusal = await refused(shared.raw(method, request))
    assert (refusal.code, refusal.reason) == (INVALID, Reason.MALFORMED_MESSAGE), refusal
    assert refusal.fields == ["request"]
    assert f"a {REQUEST_TYPES[method].__name__}" in refusal.message
    await check_after(shared, before.state_digest, taken=False)


async def test_a_packed_float_field_of_odd_length_is_malformed(shared):
    """7 bytes are no float32 values."""
    inner = tag(2, 2) + b"\x07" + bytes(7)
    refusal = await refused(shared.raw("Route", tag(3, 2) + bytes([len(inner)]) + inner))
    assert (refusal.code, refusal.reason) == (INVALID, Reason.MALFORMED_MESSAGE)


EMPTY = {
    "Route": (INVALID, Reason.EMPTY_EMBEDDING),
    "RouteBatch": (INVALID, Reason.BATCH_SIZE),
    "RecordOutcome": (INVALID, Reason.INVALID_DECISION_ID),
    "RecordComparison": (INVALID, Reason.COMPARISON_SUBJECT),
    "RecordOutcomes": (INVALID, Reason.BATCH_SIZE),
    "GetDecision": (INVALID, Reason.INVALID_DECISION_ID),
    "CreateModel": (INVALID, Reason.BAD_NAME),
    "GetModel": (INVALID, Reason.BAD_NAME),
    "UpdateModel": (INVALID, Reason.BAD_UPDATE_MASK),
    "DeleteModel": (INVALID, Reason.BAD_NAME),
    "CreateRouter": (INVALID, Reason.BAD_NAME),
    "UpdateRouter": (INVALID, Reason.BAD_UPDATE_MASK),
    "DeleteRouter": (INVALID, Reason.BAD_NAME),
    "RestoreSnapshot": (NOT_FOUND, Reason.SNAPSHOT_NOT_FOUND),
    "ImportHistory": (INVALID, Reason.BAD_IMPORT_ID),
    "ReportDecision": (INVALID, Reason.EMPTY_EMBEDDING),
    "PromotePolicy": (INVALID, Reason.BAD_NAME),
    "RollbackPolicy": (PRECONDITION, Reason.NO_FORMER_POLICY),
}
ALL_OPTIONAL = (
    "ListModels",
    "GetRouter",
    "ListRouters",
    "GetPolicyStatus",
    "GetLeaderboard",
    "ListSnapshots",
    "ListPolicies",
)


@pytest.mark.parametrize("method", METHODS)
async def test_an_empty_message_is_answered_by_its_defaults(shared, method):
    """It parses; what is required is then missing."""
    before = await shared.status()
    if method in ALL_OPTIONAL:
        await shared.raw(method, b"")
    else:
        refusal = await refused(shared.raw(method, b""))
        assert (refusal.code, refusal.reason) == EMPTY[method]
    await check_after(shared, before.state_digest, taken=False)


@pytest.mark.parametrize("request_", [tag(100, 0) + b"\x01", tag(100, 3) * 50 + tag(100, 4) * 50])
async def test_unknown_fields_are_passed_over(shared, request_):
    """A newer client is understood; 100,000 of them do no harm."""
    known = route_request().SerializeToString()
    await shared.raw("Route", known + request_)
    await shared.raw("Route", known + (tag(100, 0) + b"\x01") * 100_000)


async def test_an_unknown_method_is_unimplemented(shared):
    """The library's own answer."""
    for path in ("/banditd.v1.RoutingService/Guess", "/banditd.v2.RoutingService/Route", "/x/y"):
        refusal = await refused(shared.channel.unary_unary(path)(b""))
        assert refusal.code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_over_the_limit_is_refused_unread(tmp_path):
    """At the limit it is read."""
    async with running(config_for(tmp_path, server={"message_bytes_max": 65_536})) as server:
        await server.add_model("only")
        known = route_request().SerializeToString()
        padding = tag(100, 2) + b"\xff\xff\x03"  # a field of unknown meaning, 65,535 bytes long
        whole = known + padding + bytes(65_535)
        refusal = await refused(server.raw("Route", whole))
        assert refusal.code is EXHAUSTED
        size = 65_536 - len(known) - len(tag(100, 2)) - 3
        fitting = known + tag(100, 2) + bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
        await server.raw("Route", fitting + bytes(size))


async def test_a_small_message_cannot_unfold_to_gigabytes(shared):
    """Two bytes make an outcome of over a hundred in memory, so their number is limited before they are read."""
    refusal = await refused(shared.raw("RecordOutcomes", b"\x0a\x00" * (8 << 20)))
    assert (refusal.code, refusal.reason) == (EXHAUSTED, Reason.MESSAGE_TOO_LARGE)


# --- what a refused first request must not do ------------------------------------------------------------------------

FIRST = {
    "an unknown candidate": (route_request(candidate_model_ids=["gone"]), Reason.UNKNOWN_MODEL),
    "a NaN limit": (route_request(**limits(cost_usd_max=NAN)), Reason.BAD_CONSTRAINT),
    "a cost that nobody meets": (route_request(**limits(cost_usd_max=0.0)), Reason.NO_ELIGIBLE_MODEL),
    "a latency that nobody meets": (route_request(**limits(latency_ms_max=1.0)), Reason.NO_ELIGIBLE_MODEL),
    "a quality that nobody meets": (route_request(**limits(quality_min=1.0)), Reason.NO_ELIGIBLE_MODEL),
    "a missing tag": (route_request(**limits(required_tags=["no"])), Reason.NO_ELIGIBLE_MODEL),
    "one value": (route_request(context=vector([1.0])), Reason.WRONG_DIMENSION),
    "4,097 values": (route_request(context=vector(np.ones(4097))), Reason.WRONG_DIMENSION),
    "no whole number of values": (route_request(context={"embedding_float32": bytes(31)}), Reason.WRONG_DIMENSION),
}


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("name", FIRST)
async def test_a_refused_first_prompt_does_not_fix_the_dimension(server, name):
    """The dimension is fixed by the first prompt that is answered."""
    request, reason = FIRST[name]
    before = await server.status()
    refusal = await refused(server.routing.Route(request))
    assert refusal.reason == reason
    after = await server.status()
    assert after.embedding_dimension == 0
    assert after.state_digest == before.state_digest
    await server.route()


# --- refusals that need room -----------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="function")
async def test_the_error_of_many_long_names_fits_into_the_answer(server):
    """64 candidates of 128 characters each, all excluded: the reasons that fit are told, and the status arrives."""
    names = [f"{k:03}" + "m" * 125 for k in range(64)]
    for name in names:
        await server.add_model(name)
    refusal = await refused(server.route(candidate_model_ids=names, **limits(required_tags=["nowhere"])))
    assert (refusal.code, refusal.reason) == (PRECONDITION, Reason.NO_ELIGIBLE_MODEL)
    assert refusal.metadata
    assert set(refusal.metadata.values()) == {"TAG_MISSING"}


@pytest.mark.asyncio(loop_scope="function")
async def test_the_257th_model_and_the_65th_router_are_refused(server):
    """The catalogue is limited; what is there stays."""
    for k in range(3, 256):
        await server.add_model(f"m{k}")
    refusal = await refused(server.add_model("m256"))
    assert (refusal.code, refusal.reason) == (EXHAUSTED, Reason.TOO_MANY_MODELS)
    for k in range(1, 64):
        await server.add_router(f"r{k}")
    refusal = await refused(server.add_router("r64"))
    assert (refusal.code, refusal.reason) == (EXHAUSTED, Reason.TOO_MANY_ROUTERS)
    answer = await server.route()
    assert len(answer.candidates) == 256
