"""The package as a whole: what it exports, what it needs, what its README says."""

import ast
import asyncio
import inspect
import re
import subprocess
import sys
import tomllib
from enum import Enum
from pathlib import Path

import pytest

import banditd_client
from banditd_client import AsyncClient, Client, convert, convert_admin, enums
from banditd_client.calls import METHODS
from banditd_proto.v1 import decision_pb2, model_pb2, outcome_pb2, routing_service_pb2

from .fakes import FakeBanditd

HOME = Path(__file__).parents[2] / "clients" / "python"
METHODS_OF_CLIENT = [name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")]


def test_exports_are_sorted_and_exist():
    """Constants, classes, the rest: the order that ruff keeps."""
    names = banditd_client.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert len(set(names)) == len(names)
    assert all(hasattr(banditd_client, name) for name in names)


def test_every_public_class_is_exported():
    """Whatever a caller can get hold of, it can name."""
    modules = [value for value in vars(banditd_client).values() if inspect.ismodule(value)]
    internal = {"calls", "channel", "rich_status", "settings", "vectors"}
    classes = {
        name
        for module in modules
        if module.__name__.rpartition(".")[2] not in internal
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert classes - {"Attempts", "Portion"} <= set(banditd_client.__all__)


def test_every_export_has_a_docstring():
    """For people who ask an interpreter."""
    exported = [getattr(banditd_client, name) for name in banditd_client.__all__]
    assert [value for value in exported if isinstance(value, type) and not value.__doc__] == []


@pytest.mark.parametrize("name", METHODS_OF_CLIENT)
def test_both_clients_take_the_same(name):
    """Who knows one knows the other."""
    here, there = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
    assert list(here.parameters.values()) == list(there.parameters.values())


def test_both_clients_have_the_same_calls():
    """Neither has one that the other lacks, and both are made alike."""
    names = [name for name, _ in inspect.getmembers(AsyncClient, inspect.isfunction) if not name.startswith("_")]
    assert names == METHODS_OF_CLIENT
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


_WITHOUT_GET = {"get_policy_status", "get_leaderboard"}


def test_every_rpc_has_a_call():
    """Of every service in the protos."""
    snake = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in METHODS}
    assert {name.removeprefix("get_") if name in _WITHOUT_GET else name for name in snake} <= set(METHODS_OF_CLIENT)


@pytest.mark.parametrize(
    "table, wire",
    [
        (convert.SOURCES, decision_pb2.DecisionSource),
        (convert.EXCLUSION_REASONS, decision_pb2.ExclusionReason),
        (convert.RESOLUTIONS, decision_pb2.Resolution),
        (convert.FAILURES, outcome_pb2.Failure),
        (convert.OUTCOME_STATUSES, outcome_pb2.OutcomeStatus),
        (convert_admin.MODEL_STATES, model_pb2.ModelState),
    ],
)
def test_every_value_of_the_wire_has_a_member(table, wire):
    """A value that the protos gain is missed here, not by a user."""
    assert set(table) == set(wire.values()) - {0}
    (kind,) = {type(member) for member in table.values()}
    assert set(kind) - set(table.values()) <= {"UNKNOWN", "NOT_SENT", "CLIENT_FALLBACK"}


def test_enums_are_strings():
    """They log, compare and serialise as their names."""
    kinds = [value for value in vars(enums).values() if isinstance(value, type) and issubclass(value, str)]
    members = [member for kind in kinds if issubclass(kind, Enum) for member in kind]
    assert members
    assert all(member == member.name == str(member) for member in members)


def test_importing_costs_neither_numpy_nor_numba():
    """Nor the server, nor the package of Google's status messages."""
    heavy = ["numpy", "numba", "llvmlite", "banditd", "google.rpc", "grpc_status", "lmdb", "msgspec"]
    code = f"import sys, banditd_client; print([name for name in {heavy} if name in sys.modules])"
    paths = f"import sys; sys.path.insert(0, {str(HOME)!r}); "
    done = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_list_is_packed_without_numpy():
    """Even when it is there to be imported."""
    code = "import sys; sys.modules['numpy'] = None; from banditd_client.vectors import float32_bytes; "
    code += "print(float32_bytes([1.0, 2.0]).hex())"
    paths = f"import sys; sys.path.insert(0, {str(HOME)!r}); "
    done = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0000803f00000040"


def test_the_distribution_needs_grpcio_and_protobuf_only():
    """What the README promises."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    assert [re.match(r"[\w-]+", dependency).group() for dependency in project["dependencies"]] == ["grpcio", "protobuf"]


def test_nothing_else_is_imported():
    """Neither at the top of a module nor inside a function."""
    allowed = {"banditd_client", "banditd_proto", "google", "grpc", *sys.stdlib_module_names}
    found = set()
    for path in (HOME / "banditd_client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
    assert found <= allowed


async def test_the_readmes_example_runs(capsys):
    """As it stands, against a server that routes to `large`."""
    server = FakeBanditd()
    await server.start()
    candidates = [{"model_id": "large", "probability": 0.9}, {"model_id": "small", "probability": 0.1}]
    response = routing_service_pb2.RouteResponse(
        decision_id="d" * 32, model_id="large", source="DECISION_SOURCE_POLICY", candidates=candidates
    )
    server.play("Route", response)
    (block,) = re.findall(r"```python\n(.*?)```", (HOME / "README.md").read_text(), re.DOTALL)
    await asyncio.to_thread(exec, block.replace("localhost:50051", server.address), {})
    assert capsys.readouterr().out == "large (POLICY, then ('small',)) said Paris\n"
    assert [received.method for received in server.received] == [
        "CreateModel",
        "CreateModel",
        "Route",
        "RecordOutcome",
        "RecordOutcome",
    ]
    await server.stop()
