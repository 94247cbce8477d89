"""Makes the annotated configuration file out of the schema, so that the two cannot differ."""

import ast
import inspect
import itertools
import json
from typing import Any

import msgspec

from banditd.config import schema
from banditd.config.schema import Config


def field_meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the string under each field of a struct."""
    tree = ast.parse(inspect.getsource(schema))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == struct.__name__)
    meanings = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant)
            meanings[field.target.id] = " ".join(str(below.value.value).split())
    return meanings


def to_toml(config: Config, *, annotated: bool = False) -> str:
    """Return *config* as TOML; with the meaning above each key if *annotated*."""
    lines: list[str] = []
    for section in ("server", "store", "learner", "log", "metrics"):
        lines += ["", f"[{section}]", *_table(getattr(config, section), annotated=annotated)]
    for name in ("models", "routers"):
        for item in getattr(config, name):
            lines += ["", f"[[{name}]]", *_table(item, annotated=annotated)]
    if annotated:
        for name, struct in (("models", schema.ModelConfig), ("routers", schema.RouterConfig)):
            lines += ["", f"# [[{name}]]"]
            for key, meaning in field_meanings(struct).items():
                lines += [f"#   {key}: {meaning}"]
    return "\n".join(lines).strip() + "\n"


def _table(item: msgspec.Struct, *, annotated: bool) -> list[str]:
    meanings = field_meanings(type(item))
    lines = []
    for key, value in msgspec.structs.asdict(item).items():
        if value is None:
            continue
        if annotated:
            lines.append(f"# {meanings[key]}")
        lines.append(f"{key} = {_value(value)}")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value)
