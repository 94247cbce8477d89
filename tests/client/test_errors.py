"""What a server refuses becomes a typed error."""

import pickle
import re

import grpc
import pytest
from grpc_status import rpc_status

import banditd_client
from banditd_client import BanditdError, ExclusionReason, FailedPrecondition, NoEligibleModel, NotFound, errors

from .fakes import UNAVAILABLE, Refusal, rich

WRONG = Refusal(
    grpc.StatusCode.INVALID_ARGUMENT,
    "context.embedding_float32: expected 6144 bytes (1536 float32 values), got 4096",
    "WRONG_DIMENSION",
    {"expected": "1536"},
)


async def refused(server, caller, refusal):
    """Return the error of a call that the server answers with *refusal*."""
    server.play("GetModel", refusal)
    with pytest.raises(BanditdError) as caught:
        await caller("get_model", "a", timeout=5.0)
    return caught.value


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_every_status_has_its_class(server, connect, code):
    """By the code alone; those that the service never sends are plain BanditdError."""
    caller = connect(retry=banditd_client.RetryPolicy(attempts_max=1))
    error = await refused(server, caller, Refusal(code, "m", "REASON"))
    named = getattr(banditd_client, code.name.title().replace("_", ""), BanditdError)
    assert (type(error), error.code, error.reason, error.message) == (named, code.name, "REASON", "m")


async def test_reason_metadata_and_field_are_carried(server, caller):
    """What a program needs stands in attributes, not in the text."""
    error = await refused(server, caller, WRONG)
    assert error.reason == "WRONG_DIMENSION"
    assert error.metadata == {"expected": "1536"}
    assert error.field == "context.embedding_float32"
    assert str(error) == f"WRONG_DIMENSION: {WRONG.message}"


async def test_the_error_says_what_grpcio_status_says(server, caller):
    """The details are those that Google's own reader finds in the same failed call."""
    error = await refused(server, caller, WRONG)
    status = rpc_status.from_call(error.__context__)
    assert status == rich(WRONG)
    assert status.message == error.message


async def test_violations_name_the_field_before_the_message_does(server, caller):
    """BadRequest is the standard's place for it."""
    refusal = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "outcome: bad", "R", fields=("outcome.quality", "other"))
    assert (await refused(server, caller, refusal)).field == "outcome.quality"


@pytest.mark.parametrize(
    "message, field",
    [
        ("outcomes[3].quality: expected 0..1, got 7", "outcomes[3].quality"),
        ("quality: expected 0..1, got 7", "quality"),
        ("no model is eligible", ""),
        ("Model x: gone", ""),
    ],
)
async def test_the_field_is_the_path_before_the_colon(server, caller, message, field):
    """Messages of malformed requests begin with the path of the field."""
    assert (await refused(server, caller, Refusal(grpc.StatusCode.INVALID_ARGUMENT, message, "R"))).field == field


async def test_messages_from_the_way_name_no_field(server, caller):
    """Without a reason the text is the transport's, whatever it looks like."""
    error = await refused(server, caller, Refusal(grpc.StatusCode.INTERNAL, "tcp: connection reset"))
    assert (error.reason, error.field) == ("", "")


async def test_nobody_eligible_tells_why_per_model(server, caller):
    """The reasons are enums, and still a FailedPrecondition for who does not care."""
    metadata = {"gpt-x": "COST_LIMIT", "tiny": "EXCLUSION_REASON_DISABLED", "router": "default"}
    refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "nobody", "NO_ELIGIBLE_MODEL", metadata)
    error = await refused(server, caller, refusal)
    assert type(error) is NoEligibleModel
    assert isinstance(error, FailedPrecondition)
    assert error.reasons == {"gpt-x": ExclusionReason.COST_LIMIT, "tiny": ExclusionReason.DISABLED}


async def test_classes_do_not_depend_on_the_text(server, caller):
    """A message about another error does not make one."""
    refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "NO_ELIGIBLE_MODEL", "NOT_LEADER")
    assert type(await refused(server, caller, refusal)) is FailedPrecondition


@pytest.mark.parametrize("trailer", [b"", b"\xff\xff\xff", b"\x1a\x05abc"])
async def test_a_broken_trailer_leaves_code_and_message(server, caller, trailer):
    """The error that was meant is the one that is raised."""
    refusal = Refusal(grpc.StatusCode.NOT_FOUND, "no model", trailers=(("grpc-status-details-bin", trailer),))
    error = await refused(server, caller, refusal)
    assert (type(error), error.message, error.reason) == (NotFound, "no model", "")


@pytest.mark.parametrize("value, pushback_ms", [("250", 250), ("0", 0), ("-1", -1), ("soon", -1)])
async def test_the_servers_wish_for_a_pause_is_read(server, connect, value, pushback_ms):
    """Rubbish means "do not retry", as gRPC has it; so does any negative number."""
    caller = connect(retry=banditd_client.RetryPolicy(attempts_max=1))
    refusal = Refusal(UNAVAILABLE.code, trailers=(("grpc-retry-pushback-ms", value),))
    assert max((await refused(server, caller, refusal)).pushback_ms, -1) == pushback_ms


def test_errors_travel_between_processes():
    """A pool of processes pickles what its workers raise."""
    error = NoEligibleModel("m", code="FAILED_PRECONDITION", reason="R", metadata={"a": "DISABLED"}, field="f")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), vars(copy), str(copy)) == (NoEligibleModel, vars(error), str(error))


def test_the_drawn_tree_is_the_tree():
    """The docstring shows every class under its parent."""
    drawn, path = {}, {}
    for line in errors.__doc__.splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)(?:\s|$)", line)
        if found:
            depth = len(found.group(1)) // 4
            path[depth] = found.group(2)
            drawn[found.group(2)] = path.get(depth - 1)
    classes = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BanditdError)}
    real = {cls.__name__: cls.__base__.__name__ if cls is not BanditdError else None for cls in classes}
    assert drawn == real
