"""Embeddings kept on disk, by embedder and text.

    folder/
      4f0c…/                 first half of the sha256 of the embedder's fingerprint
        9a17….npy            some rows: array of (key = sha256 of the text, row = float32 (D,))

A file's name is the digest of its content, and it gets that name only when whole. So an interrupted run leaves nothing
by half, two runs at once write the same files or different ones, and a damaged file is seen and its rows are made anew.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from banditd_sim.embed.base import Embedder, EmbedderOutputError, Float32, check_rows

# What an interrupted run loses at most, and how often progress is told.
CHUNK_TEXTS_COUNT = 256


def embed_cached(
    embedder: Embedder,
    texts: Sequence[str],
    folder: Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Float32:
    """Return the rows of *texts*, computing only those that *folder* does not hold; repeated texts are embedded once.

    Args:
        embedder: With no fingerprint, nothing is read or kept.
        texts: The texts.
        folder: Made if absent. May be deleted at any time, and shared by embedders and processes.
        on_progress: Called with the numbers of different texts that have a row and of all, at the start and after each
            256 new ones.

    Returns:
        float32 (len(*texts*), D); (0, 0) for no texts.

    Raises:
        EmbedderOutputError: the embedder gave no finite row per text, or rows of another length than those kept under
            its fingerprint.
        OSError: the folder cannot be written.
    """
    if not texts:
        return np.empty((0, 0), dtype=np.float32)
    keys = [_key(text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))
    name = type(embedder).__name__ if embedder.fingerprint is None else embedder.fingerprint
    shards = None if embedder.fingerprint is None else folder / _key(embedder.fingerprint).hex()[:32]
    row_of = {} if shards is None else dict(_kept_rows(shards, text_of))
    if on_progress is not None:
        on_progress(len(row_of), len(text_of))
    missing = [key for key in text_of if key not in row_of]
    for start in range(0, len(missing), CHUNK_TEXTS_COUNT):
        chunk = missing[start : start + CHUNK_TEXTS_COUNT]
        rows = check_rows(name, embedder.embed([text_of[key] for key in chunk]), texts_count=len(chunk))
        if shards is not None:
            _keep(shards, chunk, rows)
        row_of.update(zip(chunk, rows, strict=True))
        if on_progress is not None:
            on_progress(len(row_of), len(text_of))
    lengths = {row.shape[0] for row in row_of.values()}
    if len(lengths) > 1:
        raise EmbedderOutputError(
            f"embedder {name}: expected rows of one length, got {sorted(lengths)}; "
            "an embedder that changes needs another fingerprint"
        )
    return np.stack([row_of[key] for key in keys])


def _key(text: str) -> bytes:
    # surrogatepass: any str has a key, and different ones have different keys.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _kept_rows(shards: Path, wanted: dict[bytes, str]) -> Iterator[tuple[bytes, Float32]]:
    """Yield those of the *wanted* keys that are kept, with their rows."""
    for path in sorted(shards.glob("*.npy")):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # deleted meanwhile
            continue
        if hashlib.sha256(content).hexdigest()[:32] != path.stem:
            continue
        shard: npt.NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
        for i, key in enumerate(shard["key"]):
            if key.tobytes() in wanted:
                yield key.tobytes(), shard["row"][i].copy()  # a view would keep the whole shard in memory


def _keep(shards: Path, keys: Sequence[bytes], rows: Float32) -> None:
    shard = np.empty(len(keys), dtype=[("key", np.uint8, (32,)), ("row", "<f4", (rows.shape[1],))])
    shard["key"] = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32)
    shard["row"] = rows
    buffer = io.BytesIO()
    np.save(buffer, shard, allow_pickle=False)
    content = buffer.getvalue()
    shards.mkdir(parents=True, exist_ok=True)
    path = shards / f"{hashlib.sha256(content).hexdigest()[:32]}.npy"
    # No fsync: after a power cut the digest tells a torn file, and its rows are computed again.
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
