"""The reasons are a contract: each is used, each class of error has a status, and each status is rich."""

import re
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from banditd import errors
from banditd.errors import BanditdError, InvalidArgumentError, Reason
from banditd.server.status import STATUS_OF, code_of, trailing_metadata

PACKAGE = Path(errors.__file__).parent
SOURCES = {path: path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "errors.py"}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_used(reason):
    """One that nothing raises is a promise that nobody keeps."""
    assert any(re.search(rf"\bReason\.{reason.name}\b", text) for text in SOURCES.values())


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_is_its_own_name(reason):
    """Upper snake case, at most 63 characters, as google.rpc.ErrorInfo has it."""
    assert reason.value == reason.name
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+[A-Z0-9]", reason.value)
    assert len(reason.value) <= 63


def test_every_reason_that_the_protos_promise_exists(root_dir):
    """The comments name reasons in backticks after a status."""
    promised = set()
    for path in (root_dir / "proto" / "banditd" / "v1").glob("*.proto"):
        for line in path.read_text().splitlines():
            if line.lstrip().startswith("//"):
                promised |= set(re.findall(r"`([A-Z][A-Z_]{3,})`", line))
    assert promised
    assert promised <= {reason.value for reason in Reason} | {code.name for code in grpc.StatusCode}


def test_every_class_of_error_has_a_status():
    """But the one that keeps the process from starting; what is missing would be INTERNAL."""
    classes = {
        found
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, BanditdError) and found is not BanditdError
    }
    assert classes - {errors.StartupError} == set(STATUS_OF)
    assert len(set(STATUS_OF.values())) == len(STATUS_OF)


def test_the_tree_in_the_docstring_names_every_class():
    """As STYLE 8.1 asks."""
    for found in (*STATUS_OF, errors.StartupError):
        assert found.__name__ in errors.__doc__


def test_a_refusal_is_rich():
    """Code, message, reason, domain, metadata, and the field that is to blame."""
    error = InvalidArgumentError(Reason.OUT_OF_RANGE, "a.b[3]", "1..2", "7")
    ((key, raw),) = trailing_metadata(error)
    status = status_pb2.Status.FromString(raw)
    assert key == "grpc-status-details-bin"
    assert (status.code, status.message) == (3, "a.b[3]: expected 1..2, got 7")
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert (info.reason, info.domain) == ("OUT_OF_RANGE", "banditd")
    assert [v.field for v in bad.field_violations] == ["a.b[3]"]


def test_metadata_that_does_not_fit_is_left_out():
    """A client takes 8 KiB of headers; entries go, the reason stays."""
    metadata = {f"{k:03}" + "m" * 125: "CONTEXT_WINDOW" for k in range(256)}
    error = errors.FailedPreconditionError(Reason.NO_ELIGIBLE_MODEL, "nobody", metadata)
    ((_, raw),) = trailing_metadata(error)
    assert len(raw) < 4096
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(raw).details[0].Unpack(info)
    assert info.reason == "NO_ELIGIBLE_MODEL"
    assert 10 < len(info.metadata) < 256


def test_an_error_of_no_known_class_is_internal():
    """A bug, and treated as one."""
    assert code_of(errors.StartupError(Reason.CONFIG, "x")) is grpc.StatusCode.INTERNAL


async def test_a_bug_tells_nothing_of_the_insides(server, monkeypatch):
    """INTERNAL with a bare message; the server goes on."""
    from tests.server.harness import refused

    def explode(*_):
        raise RuntimeError("secret /path/of/something")

    monkeypatch.setattr("banditd.server.routing_servicer.choose", explode)
    refusal = await refused(server.route())
    assert (refusal.code, refusal.message, refusal.reason) == (grpc.StatusCode.INTERNAL, "internal error", "")
    monkeypatch.undo()
    await server.route()
