"""Walks every message, field, enum and method of the protos: comments, names, types."""

import importlib
import re

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor

from banditd.server import catalog_servicer, router_admin_servicer

PUBLIC = (
    "catalog_service",
    "comparison",
    "context",
    "decision",
    "history",
    "leaderboard",
    "model",
    "outcome",
    "policy",
    "promotion",
    "router",
    "router_admin_service",
    "routing_service",
)
FILES = {name: importlib.import_module(f"banditd_proto.v1.{name}_pb2").DESCRIPTOR for name in PUBLIC}
FILES["storage"] = importlib.import_module("banditd_proto.storage.v1.records_pb2").DESCRIPTOR

MESSAGES = {m.full_name: m for file in FILES.values() for m in file.message_types_by_name.values()}
ENUMS = {e.full_name: e for file in FILES.values() for e in file.enum_types_by_name.values()}
SERVICES = {s.full_name: s for file in FILES.values() for s in file.services_by_name.values()}
FIELDS = {f.full_name: f for m in MESSAGES.values() for f in m.fields}
PUBLIC_FIELDS = {name: f for name, f in FIELDS.items() if ".storage." not in name}

UNSIGNED = {
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
}
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_DOUBLE,
    FieldDescriptor.CPPTYPE_FLOAT,
}
# What a number is stands last in its name: a unit, or a word for something that has none.
UNITS = re.compile(
    r".*_(counts?|ms|bytes|usd|size|dimension|weight|version|position|deviation|code|indices|ms_guess|share)$"
)
LIMITS = re.compile(r"(.*_)?(cost_usd|latency_ms|quality|probability|count|share)_(max|min|sum)$")
UNITLESS = re.compile(
    r"((.*_)?(quality|qualities|probability|propensity|utility)(_guess|_margin|_difference(_low|_high)?)?|(rival_)?probabilities|propensities|embedding|confidence"
    r"|rating|strength|.*percentile|value|low|high|.*bias)$"
)
# Messages that stand in requests: their fields say whether they are required.
ASKED = re.compile(r".*Request$|^(Context|Limits|Outcome|Model|Price|Router|Policy|Objective)$")


@pytest.fixture(scope="module")
def comments(root_dir):
    """Return the comment above each declaration by its full name, from the sources."""
    found = {}
    for path in sorted((root_dir / "proto").rglob("*.proto")):
        package, scope, comment = "", [], []
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.strip()
            if text.startswith("//"):
                comment.append(text.removeprefix("//").strip())
                continue
            if package_line := re.match(r"package ([\w.]+);", text):
                package = package_line.group(1)
            declared = re.match(r"(message|enum|service|rpc|oneof) (\w+)", text) or re.match(
                r"(?:optional |repeated )?(map<.*>|[\w.]+) (\w+) = \d+", text
            ) or re.match(r"(\w+)() = \d+;", text)  # fmt: skip
            if declared and not text.startswith(("option ", "reserved ", "syntax ", "import ")):
                name = declared.group(2) or declared.group(1)
                found[".".join([package, *filter(None, scope), name])] = " ".join(comment)
                if text.endswith("{"):
                    # A oneof's fields are named as its message's.
                    scope.append("" if declared.group(1) == "oneof" else name)
            elif text == "}":
                scope.pop()
            if text:
                comment = []
        assert not scope, path
    return found


def names_with_comments():
    """Return everything that is declared."""
    yield from MESSAGES
    yield from ENUMS
    yield from SERVICES
    yield from FIELDS
    for enum in ENUMS.values():
        yield from (f"{enum.full_name}.{value.name}" for value in enum.values)
    for service in SERVICES.values():
        yield from (method.full_name for method in service.methods)


@pytest.mark.parametrize("name", sorted(names_with_comments()))
def test_everything_has_a_comment_that_is_a_sentence(comments, name):
    """It begins with a capital, a number or a name of the public wire, and it ends."""
    comment = comments.get(name)
    assert comment, f"{name} has no comment"
    assert re.match(r"[A-Z0-9`(|]|banditd\.v1\.", comment), comment
    assert comment.rstrip("`").endswith((".", ":", ")", "|")), comment


def test_the_scan_of_the_sources_finds_what_the_descriptors_have(comments):
    """Else the test above would pass by finding nothing."""
    assert set(names_with_comments()) <= set(comments)
    assert len(comments) > 200


@pytest.mark.parametrize("name", sorted(n for n, f in PUBLIC_FIELDS.items() if ASKED.match(f.containing_type.name)))
def test_a_field_of_a_request_says_whether_it_is_required(comments, name):
    """Its comment's first word; output-only fields say that."""
    assert comments[name].startswith(("Required.", "Optional.", "Output only.")), comments[name]


@pytest.mark.parametrize(
    "message, fields",
    [("UpdateModelRequest", catalog_servicer._FIELDS), ("UpdateRouterRequest", router_admin_servicer._FIELDS)],
)
def test_an_update_mask_names_the_fields_that_it_may_hold(comments, message, fields):
    """All of them: what is not listed cannot be found but by trying."""
    assert set(fields) <= set(re.findall(r"`(\w+)`", comments[f"banditd.v1.{message}.update_mask"]))


def test_the_whole_wire_is_walked(root_dir):
    """A new file is checked from its first day."""
    assert set(PUBLIC) == {path.stem for path in (root_dir / "proto" / "banditd" / "v1").glob("*.proto")}


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_an_enum_starts_unspecified_and_its_values_carry_its_name(name):
    """Zero is what an unset field reads as; it says nothing."""
    enum = ENUMS[name]
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper()
    assert enum.values[0].number == 0
    assert enum.values[0].name == f"{prefix}_UNSPECIFIED"
    assert all(value.name.startswith(f"{prefix}_") for value in enum.values)
    described = descriptor_pb2.EnumDescriptorProto()
    enum.CopyToProto(described)
    reserved = [n for span in described.reserved_range for n in range(span.start, span.end + 1)]
    numbers = sorted([*(value.number for value in enum.values), *reserved])
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_field_is_no_unsigned_integer(name):
    """Not every language has them; a count fits into a signed one."""
    assert FIELDS[name].type not in UNSIGNED


@pytest.mark.parametrize("name", sorted(PUBLIC_FIELDS))
def test_a_field_name_tells_what_it_holds(name):
    """Snake case; no verbs in front; a number's unit last; times are timestamps."""
    field = PUBLIC_FIELDS[name]
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.name)
    assert not re.match(r"(is|has|get|set|use|enable|with|of|for|by)_", field.name)
    if field.cpp_type in NUMBERS:
        assert UNITS.match(field.name) or LIMITS.match(field.name) or UNITLESS.match(field.name), field.name
    if field.name.endswith("_time"):
        assert field.message_type.full_name == "google.protobuf.Timestamp"
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp":
        assert field.name.endswith("_time")
    if "usd" in field.name.split("_"):
        assert field.type == FieldDescriptor.TYPE_DOUBLE or field.is_repeated
    if field.name.endswith("_id"):
        assert field.type == FieldDescriptor.TYPE_STRING
    if field.is_repeated and field.message_type is None:
        assert re.search(r"s(_usd|_ms)?$", field.name) or field.name == "embedding"


@pytest.mark.parametrize("name", sorted(n for n in SERVICES))
def test_a_method_is_a_verb_and_a_noun_with_messages_of_its_own(name):
    """And unary: nothing here is unbounded."""
    service = SERVICES[name]
    assert service.name.endswith("Service")
    for method in service.methods:
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"
        assert not method.client_streaming
        assert not method.server_streaming
        assert re.match(
            r"(Route|Record|Create|Get|List|Update|Delete|Restore|Promote|Rollback|Report|Import)", method.name
        )


@pytest.mark.parametrize("name", sorted(m for m in MESSAGES if re.search(r"List\w+Request$", m)))
def test_what_lists_is_paged(name):
    """From the first day."""
    request, response = MESSAGES[name], MESSAGES[name.removesuffix("Request") + "Response"]
    assert {"page_size", "page_token"} <= set(request.fields_by_name)
    assert "next_page_token" in response.fields_by_name


def test_no_message_of_the_wire_contains_itself():
    """Nor is any deeper than five: a parser that recurses has little to recurse into."""

    def depth(message, path):
        assert message.full_name not in path, path
        inner = [
            depth(f.message_type, [*path, message.full_name])
            for f in message.fields
            if f.message_type is not None and not f.message_type.full_name.startswith("google.")
        ]
        return 1 + max(inner, default=0)

    assert max(depth(m, []) for m in MESSAGES.values()) <= 5


def test_numbers_that_are_reserved_are_not_used():
    """The descriptors would not load otherwise; what was promised to later messages is still free."""
    request = MESSAGES["banditd.v1.RouteRequest"]
    assert not {f.number for f in request.fields} & set(range(7, 11))
