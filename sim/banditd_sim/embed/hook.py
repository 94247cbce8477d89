"""From an embedder's name in a config or on a command line to an embedder."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy.typing as npt

from banditd_sim.embed.base import Embedder, EmbedderSpecError, Float32, check_rows
from banditd_sim.embed.minilm import MiniLmEmbedder
from banditd_sim.embed.ngram import NgramEmbedder

_BUNDLED: Final = MappingProxyType[str, Callable[[], Embedder]]({"minilm": MiniLmEmbedder, "ngram": NgramEmbedder})
_EXPECTED: Final = f"column:NAME, module:callable or one of {', '.join(_BUNDLED)}"


@dataclass(frozen=True, slots=True)
class Column:
    """The table of prompts holds the embeddings itself, in the column *name*."""

    name: str


@dataclass(frozen=True, slots=True)
class CallableEmbedder:
    """A user's function from a list of texts to an array-like (len(texts), D).

    Attributes:
        name: `module:callable`, for messages.
        function: The function.
        fingerprint: The function's own attribute `fingerprint`, a str to be changed with whatever changes the rows;
            None, and so no caching, where it has none: its name does not tell whether its code changed.
    """

    name: str
    function: Callable[[list[str]], npt.ArrayLike]
    fingerprint: str | None

    def embed(self, texts: Sequence[str]) -> Float32:
        """Return float32 (len(*texts*), D). Raises EmbedderOutputError, or whatever the function raises."""
        return check_rows(self.name, self.function(list(texts)), texts_count=len(texts))


def resolve_embedder(spec: str) -> Column | Embedder:
    """Return what *spec* names; models are loaded and modules imported here.

    Args:
        spec: `column:NAME`; `module:callable`, where the module must be importable (the folder that a console script
            is started in is not on Python's path: set PYTHONPATH); `minilm`, which needs the extra `embed`; or
            `ngram`, which needs nothing.

    Raises:
        EmbedderSpecError: *spec* has another form, or its module or callable is not there.
        MissingExtraError, ModelFileError: from `minilm`.
    """
    if spec in _BUNDLED:
        return _BUNDLED[spec]()
    kind, colon, name = spec.partition(":")
    if not kind or not colon or not name:
        raise EmbedderSpecError(f"embedder: expected {_EXPECTED}, got {spec!r}")
    return Column(name) if kind == "column" else _import_embedder(spec, kind, name)


def _import_embedder(spec: str, module_name: str, path: str) -> CallableEmbedder:
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that is there and itself imports an absent one is that module's affair, and its traceback helps.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise EmbedderSpecError(
            f"embedder {spec}: expected an importable module, got no module {error.name}"
        ) from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise EmbedderSpecError(f"embedder {spec}: expected {path} in {module_name}, got none") from error
    if not callable(found):
        raise EmbedderSpecError(f"embedder {spec}: expected a callable, got {type(found).__name__}")
    fingerprint = getattr(found, "fingerprint", None)
    if fingerprint is not None and not isinstance(fingerprint, str):
        raise EmbedderSpecError(f"embedder {spec}: expected a str as fingerprint, got {type(fingerprint).__name__}")
    return CallableEmbedder(name=spec, function=found, fingerprint=fingerprint)
