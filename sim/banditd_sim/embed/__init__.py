"""Texts to embeddings, offline, with a cache."""

from banditd_sim.embed.base import (
    Embedder,
    EmbedderOutputError,
    EmbedderSpecError,
    EmbedError,
    MissingExtraError,
    ModelFileError,
)
from banditd_sim.embed.cache import embed_cached
from banditd_sim.embed.hook import CallableEmbedder, Column, resolve_embedder
from banditd_sim.embed.minilm import MiniLmEmbedder
from banditd_sim.embed.ngram import NgramEmbedder

__all__ = [
    "CallableEmbedder",
    "Column",
    "EmbedError",
    "Embedder",
    "EmbedderOutputError",
    "EmbedderSpecError",
    "MiniLmEmbedder",
    "MissingExtraError",
    "ModelFileError",
    "NgramEmbedder",
    "embed_cached",
    "resolve_embedder",
]
