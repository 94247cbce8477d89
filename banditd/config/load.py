"""Reads the configuration: defaults, then the file, then the environment."""

import contextlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from banditd.config.schema import Config
from banditd.errors import Reason, StartupError

# BANDITD__SERVER__LISTEN=0.0.0.0:50051 sets server.listen.
PREFIX: Final = "BANDITD__"


def load_config(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration.

    Args:
        path: TOML file; None means the defaults.
        environment: `BANDITD__SECTION__KEY` variables win over the file.

    Raises:
        StartupError: The file cannot be read, or a value is wrong; the message names file and key.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise StartupError(Reason.CONFIG, f"{path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StartupError(Reason.CONFIG, f"{path}: not valid TOML: {error}") from error
    for name, value in environment.items():
        if name.startswith(PREFIX):
            _overlay(tree, name, value)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise StartupError(Reason.CONFIG, f"{path or 'environment'}: {_readable(str(error))}") from error
    for i, model in enumerate(config.models):
        if (model.input_mtok_usd is None) != (model.output_mtok_usd is None):
            raise StartupError(
                Reason.CONFIG,
                f"{path}: models[{i}]: expected input_mtok_usd and output_mtok_usd together, got one of them",
            )
        if model.input_mtok_usd is None and (model.cached_input_mtok_usd is not None or model.request_usd):
            raise StartupError(
                Reason.CONFIG,
                f"{path}: models[{i}]: expected input_mtok_usd and output_mtok_usd beside the rest of a price",
            )
    return config


def _overlay(tree: dict[str, Any], name: str, value: str) -> None:
    section, _, key = name.removeprefix(PREFIX).lower().partition("__")
    if not key:
        raise StartupError(Reason.CONFIG, f"environment: {name}: expected {PREFIX}<SECTION>__<KEY>")
    parsed: Any = value
    with contextlib.suppress(tomllib.TOMLDecodeError):  # a bare word is a string
        parsed = tomllib.loads(f"x = {value}")["x"]
    inner = tree.setdefault(section, {})
    if not isinstance(inner, dict):
        raise StartupError(Reason.CONFIG, f"environment: {name}: {section} is a list and set in the file only")
    inner[key] = parsed


def _readable(message: str) -> str:
    """Return msgspec's message with the key first: `server.listen: Expected ...`."""
    text, _, at = message.partition(" - at `$")
    return f"{at.rstrip('`').lstrip('.')}: {text}" if at else text
