"""Embeddings for a table that has texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from banditd_sim.embed import Embedder, embed_cached
from banditd_sim.embed.base import check_rows
from banditd_sim.table import Table, TableError


def embed_table(
    table: Table,
    embedder: Embedder,
    *,
    cache: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Return *table* with the embeddings that *embedder* makes of its texts, in place of any that it has.

    Args:
        table: With texts.
        embedder: As `resolve_embedder` returns it.
        cache: Folder that keeps rows by embedder and text; None keeps none.
        on_progress: See `embed_cached`; not called without a cache.

    Raises:
        TableError: the table has no texts, or a row is beyond float16.
        EmbedError: the embedder fails.
        OSError: the cache cannot be written.
    """
    if not table.texts:
        raise TableError("texts", "texts to embed", "none")
    if cache is None:
        rows = check_rows(type(embedder).__name__, embedder.embed(table.texts), texts_count=len(table))
    else:
        rows = embed_cached(embedder, table.texts, cache, on_progress=on_progress)
    with np.errstate(over="ignore"):  # the table refuses what becomes infinite
        return replace(table, embeddings=rows.astype(np.float16), fingerprint="")
