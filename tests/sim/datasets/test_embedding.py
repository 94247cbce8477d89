"""Embeddings of a table: computed once, kept by text and embedder, refused where there are no texts."""

import numpy as np
import pytest

from banditd_sim.datasets import DatasetError, embed_table, open_dataset
from banditd_sim.embed import CallableEmbedder, EmbedderOutputError, EmbedderSpecError, NgramEmbedder
from banditd_sim.table import TableError

from .made import PROMPTS, table, write_shared


class Counting:
    """Rows of (characters, 1); remembers what it was asked for."""

    fingerprint = "counting-1"

    def __init__(self):
        self.asked = []

    def embed(self, texts):
        """Return float32 (n, 2)."""
        self.asked += texts
        return np.array([(len(text), 1.0) for text in texts], np.float32)


def test_rows_belong_to_texts_and_are_kept(tmp_path):
    """A second table with a common prompt computes only what is new."""
    first, second = Counting(), Counting()
    embedded = embed_table(table(), first, cache=tmp_path)
    assert embedded.embeddings.tolist() == [[4, 1], [4, 1], [6, 1]]
    assert embedded.embeddings.dtype == np.float16
    assert embedded.fingerprint != table().fingerprint
    embed_table(table(texts=("Two?", "New?", "One?")), second, cache=tmp_path)
    assert second.asked == ["New?"]


def test_cache_changes_nothing(tmp_path):
    """With and without one, the same table."""
    kept = embed_table(table(), NgramEmbedder(8), cache=tmp_path)
    assert embed_table(table(), NgramEmbedder(8)).fingerprint == kept.fingerprint


def test_table_without_texts_is_refused():
    """There is nothing to embed."""
    with pytest.raises(TableError, match="texts: expected texts to embed, got none"):
        embed_table(table(texts=()), Counting())


@pytest.mark.parametrize("cache", [False, True])
def test_rows_that_a_table_cannot_hold_are_refused(tmp_path, cache):
    """Beyond float16, of another number than texts, or not finite."""
    cache = tmp_path if cache else None
    with pytest.raises(TableError, match=r"embeddings\[0\]: expected finite numbers within float16"):
        embed_table(table(), CallableEmbedder("m:f", lambda t: np.full((len(t), 2), 1e6), "a"), cache=cache)
    with pytest.raises(EmbedderOutputError, match=r"expected shape \(3, 2\.\.4096\), got \(1, 2\)"):
        embed_table(table(), CallableEmbedder("m:f", lambda _: np.ones((1, 2)), "b"), cache=cache)
    with pytest.raises(EmbedderOutputError, match="expected finite values"):
        embed_table(table(), CallableEmbedder("m:f", lambda t: np.full((len(t), 2), np.nan), "c"), cache=cache)


def test_set_is_embedded_when_it_is_opened(tmp_path, monkeypatch):
    """By each kind of name, in place of what the set holds."""
    prompts = [row | {"vector": [float(i), 1.0]} for i, row in enumerate(PROMPTS)]
    folder = write_shared(tmp_path / "set", prompts=prompts)
    (tmp_path / "my_embedder_c.py").write_text("def embed(texts):\n    return [[len(t), 2] for t in texts]\n")
    monkeypatch.syspath_prepend(tmp_path)
    progress = []
    for embedder, first in (("", [1, 0]), ("column:vector", [0, 1]), ("my_embedder_c:embed", [4, 2])):
        assert open_dataset(folder, embedder=embedder).data.embeddings[0].tolist() == first
    opened = open_dataset(folder, embedder="ngram", cache=tmp_path / "cache", on_progress=lambda *n: progress.append(n))
    assert opened.data.embeddings.shape == (3, 768)
    assert progress[-1] == (3, 3)
    assert list((tmp_path / "cache").rglob("*.npy"))


@pytest.mark.parametrize(
    "source, embedder, error, message",
    [
        ("set", "column:nope", DatasetError, r"prompts\.parquet: expected a column nope, got none"),
        ("set", "nope", EmbedderSpecError, "expected column:NAME, module:callable or one of minilm, ngram, got 'nope'"),
        ("world:linear#prompts=5", "column:x", DatasetError, "embedder: expected no column: a world has its own"),
        ("world:linear#prompts=5", "ngram", TableError, "texts: expected texts to embed, got none"),
        ("log.dsjson", "ngram", DatasetError, "embedder: expected a table, whose texts can be embedded, got a log"),
        ("log.dsjson", "column:x", DatasetError, r"embedder column:: expected options among reward_min, .*"),
    ],
)
def test_embedder_that_does_not_fit_is_refused(tmp_path, monkeypatch, source, embedder, error, message):
    """The message says what is missing."""
    from banditd_sim.datasets import write_dsjson

    from .made import log

    write_shared(tmp_path / "set")
    write_dsjson(log(20), tmp_path / "log.dsjson")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        open_dataset(source, embedder=embedder)
