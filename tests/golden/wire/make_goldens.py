"""Makes the golden messages of the wire: for each message a file of bytes and one of what they mean.

Usage: python tests/golden/wire/make_goldens.py

Every field is set, and differently, so that a field that is renumbered, renamed or retyped is seen. A file that is
there is never written again: it stands for a client of its time, which is to be understood for ever. What is missing is
made.
"""

import argparse
import importlib
import json
from pathlib import Path

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

FOLDER = Path(__file__).resolve().parent
FILES = (
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
DEPTH_MAX = 6


def message_types() -> list[Descriptor]:
    """Return every message of the public wire."""
    files = [importlib.import_module(f"banditd_proto.v1.{name}_pb2").DESCRIPTOR for name in FILES]
    return [descriptor for file in files for descriptor in file.message_types_by_name.values()]


def fill(message: Message, salt: int, depth: int = DEPTH_MAX) -> Message:
    """Set every field to a value that depends on its number and on *salt*."""
    for entry in message.DESCRIPTOR.fields:
        seed = salt * 31 + entry.number
        if entry.message_type is not None and entry.message_type.GetOptions().map_entry:
            of_texts = entry.message_type.fields_by_name["value"].cpp_type == FieldDescriptor.CPPTYPE_STRING
            values = (f"text {seed}", "b") if of_texts else (seed + 0.5, -0.25)
            getattr(message, entry.name).update({f"k{seed}": values[0], "also": values[1]})
        elif entry.message_type is not None:
            inner = getattr(message, entry.name)
            if depth == 0:
                continue
            for k in range(2 if entry.is_repeated else 1):
                part = inner.add() if entry.is_repeated else inner
                if entry.message_type.full_name == "google.protobuf.Timestamp":
                    part.seconds, part.nanos = 1_700_000_000 + seed, 250_000_000
                else:
                    fill(part, seed + k, depth - 1)
        elif entry.is_repeated:
            getattr(message, entry.name).extend(scalar(entry, seed + k) for k in range(2))
        else:
            setattr(message, entry.name, scalar(entry, seed))
    return message


def scalar(entry: FieldDescriptor, seed: int) -> object:
    """Return a value of a field's type; floats are such that both widths hold them exactly."""
    if entry.enum_type is not None:
        numbers = [value.number for value in entry.enum_type.values if value.number]
        return numbers[seed % len(numbers)]
    return {
        FieldDescriptor.CPPTYPE_DOUBLE: seed + 0.125,
        FieldDescriptor.CPPTYPE_FLOAT: seed + 0.25,
        FieldDescriptor.CPPTYPE_INT32: -seed if seed % 2 else seed,
        FieldDescriptor.CPPTYPE_INT64: (seed << 33) * (-1 if seed % 2 else 1),
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_STRING: bytes([seed % 256, 0, 255])
        if entry.type == FieldDescriptor.TYPE_BYTES
        else f"{entry.name} é {seed}",
    }[entry.cpp_type]


def meaning(message: Message) -> dict[str, object]:
    """Return a message as JSON has it, under the fields' own names."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def main() -> None:
    """Make what is missing."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for salt, descriptor in enumerate(message_types()):
        path = FOLDER / f"{descriptor.name}.bin"
        if path.exists():
            continue
        message = fill(GetMessageClass(descriptor)(), salt)
        path.write_bytes(message.SerializeToString(deterministic=True))
        text = json.dumps(meaning(message), indent=1, sort_keys=True, ensure_ascii=False)
        path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
