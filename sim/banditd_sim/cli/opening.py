"""Opening: names and paths from the command line to tables and logs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from banditd_sim.embed import Column, EmbedError, embed_cached, resolve_embedder
from banditd_sim.environments.errors import SimError
from banditd_sim.ope import LoggedRounds
from banditd_sim.table import Table


def open_any(name: str) -> Table | LoggedRounds:
    """Return what *name*, a known data set or a path, holds.

    Raises:
        SimError: It cannot be read; the message is the loader's.
    """
    try:
        opened: Table | LoggedRounds = _loader("open_dataset")(name)
    except SimError:
        raise
    except (OSError, ValueError) as error:
        raise SimError(name, "a data set", error, reason="UNREADABLE") from error
    return opened


def open_table(name: str, embedder: str) -> Table:
    """Return a table, embedded.

    Raises:
        SimError: It is a log, or its prompts cannot be embedded.
    """
    found = open_any(name)
    if isinstance(found, LoggedRounds):
        raise SimError(
            name, "outcomes of several models per prompt", "a log (banditd-sim ope reads it)", reason="A_LOG"
        )
    if found.embeddings is not None or not embedder:
        return found
    try:
        made = resolve_embedder(embedder)
        if isinstance(made, Column):
            raise SimError("embedder", "minilm, ngram or module:callable", repr(embedder), reason="BAD_EMBEDDER")
        rows = embed_cached(made, found.texts, Path.home() / ".cache" / "banditd-sim" / "embeddings")
    except EmbedError as error:
        raise SimError("embedder", "embedded prompts", error, reason="BAD_EMBEDDER") from error
    return replace(found, embeddings=rows.astype(np.float16))


def open_log(name: str) -> LoggedRounds:
    """Return a log; raises SimError if it is a table or cannot be read."""
    found = open_any(name)
    if isinstance(found, Table):
        raise SimError(name, "a log with propensities", "a table (banditd-sim run replays it)", reason="A_TABLE")
    return found


def known_datasets() -> list[tuple[str, str]]:
    """Return names and descriptions of the data sets that can be opened by name here."""
    listed: list[tuple[str, str]] = _loader("known_datasets")()
    return listed


def _loader(name: str) -> Callable[..., Any]:
    module = importlib.import_module("banditd_sim.datasets")
    found: Callable[..., Any] | None = getattr(module, name, None)
    if found is None:
        raise SimError("datasets", f"a package with banditd_sim.datasets.{name}", "one without", reason="NO_LOADERS")
    return found
