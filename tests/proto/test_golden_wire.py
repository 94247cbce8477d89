"""Old bytes mean the same for ever: what a client of any version sent or kept can be read."""

import importlib.util
import json
from pathlib import Path

import pytest
from google.protobuf.message_factory import GetMessageClass

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "wire"


def load_script():
    """Return the script that makes the files."""
    spec = importlib.util.spec_from_file_location("make_wire_goldens", FOLDER / "make_goldens.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


SCRIPT = load_script()
TYPES = {descriptor.name: descriptor for descriptor in SCRIPT.message_types()}
FILES = sorted(path.stem for path in FOLDER.glob("*.bin"))


@pytest.mark.parametrize("name", FILES)
def test_old_bytes_parse_to_the_same_value(name):
    """Field by field, as the file beside them says."""
    assert name in TYPES, f"{name} is gone: what old clients send has nothing to be read into"
    message = GetMessageClass(TYPES[name]).FromString((FOLDER / f"{name}.bin").read_bytes())
    expected = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert SCRIPT.meaning(message) == expected


@pytest.mark.parametrize("name", FILES)
def test_the_same_value_makes_bytes_that_mean_it(name):
    """A round trip loses nothing, and nothing was only carried along as unknown."""
    raw = (FOLDER / f"{name}.bin").read_bytes()
    message = GetMessageClass(TYPES[name]).FromString(raw)
    assert message.SerializeToString(deterministic=True) == raw
    message.DiscardUnknownFields()
    assert message.SerializeToString(deterministic=True) == raw


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_message_has_its_golden_bytes(name):
    """New ones are made by the script; old ones are never made again."""
    assert name in FILES, f"run: python {(FOLDER / 'make_goldens.py').relative_to(FOLDER.parents[2])}"
    covered = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if TYPES[name].fields:
        assert covered
