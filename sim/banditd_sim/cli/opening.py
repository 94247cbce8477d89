"""Opening: names and paths from the command line to tables and logs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from banditd_sim.datasets import embed_table, open_dataset
from banditd_sim.embed import Column, resolve_embedder
from banditd_sim.environments.errors import SimError
from banditd_sim.ope import LoggedRounds
from banditd_sim.table import Table

# What makes embeddings where the data has none and nobody says otherwise: it needs no package and no download.
DEFAULT_EMBEDDER: Final = "ngram"


def open_table(name: str, embedder: str, on_progress: Callable[[int, int], None] | None = None) -> Table:
    """Return a table, embedded.

    Args:
        name: As `open_dataset` takes it.
        embedder: `column:NAME` reads that column; anything else makes embeddings where the data has none, and empty
            means `DEFAULT_EMBEDDER`.
        on_progress: Told how many of how many texts are embedded.

    Raises:
        SimError: It is a log.
        DatasetError, TableError, WorldError, EmbedError: as `open_dataset`.
    """
    # Before the data is read, so that a wrong name costs no time; a column is read with the data.
    made = resolve_embedder(embedder or DEFAULT_EMBEDDER)
    found = open_dataset(name, embedder=embedder if isinstance(made, Column) else "").data
    if isinstance(found, LoggedRounds):
        raise SimError(
            name,
            "outcomes of several models per prompt",
            "a log (banditd-sim ope replays it: --target replay:PRESET)",
            reason="A_LOG",
        )
    if found.embeddings is not None or isinstance(made, Column):
        return found
    return embed_table(found, made, cache=embeddings_folder(), on_progress=on_progress)


def open_log(name: str) -> LoggedRounds:
    """Return a log.

    Raises:
        SimError: It is a table.
        DatasetError: as `open_dataset`.
    """
    found = open_dataset(name).data
    if not isinstance(found, LoggedRounds):
        raise SimError(name, "a log with propensities", "a table (banditd-sim run replays it)", reason="A_TABLE")
    return found


def embeddings_folder() -> Path:
    """Return where computed embeddings are kept: below XDG_CACHE_HOME, else ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "banditd-sim" / "embeddings"
