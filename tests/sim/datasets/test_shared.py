"""The shared form: what it means, real sets whole, broken files named."""

import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from banditd_sim.datasets import DatasetError, load_shared

from .made import COMPARISONS, MODELS, OUTCOMES, PROMPTS, table, write_parquet, write_shared

SETS = {
    # Prompts, models, outcomes, comparisons and splits, as the README of the data says.
    "pareto": (2550, 4, 10165, 0),
    "routerbench": (2224, 11, 24464, 0),
    "zeroeval": (2010, 27, 54260, 0),
    "bfcl": (1205, 50, 60250, 0),
    "routellm": (10655, 2, 21310, 0),
    "alpaca_eval_v1": (577, 32, 18449, 17872),
    "alpaca_eval_v2": (577, 26, 15001, 14424),
    "mtbench_human": (120, 6, 0, 4313),
}


def _with(rows, i, **changes):
    return [row | changes if j == i else row for j, row in enumerate(rows)]


def test_every_column_has_its_place(tmp_path):
    """The documented mapping, by hand; models stand as in models.json, and one that nothing is known of is left out."""
    loaded = load_shared(write_shared(tmp_path / "made"))
    assert loaded.fingerprint == table().fingerprint
    assert loaded.name == "made"
    assert np.array_equal(loaded.latency_ms, table().latency_ms, equal_nan=True)


def test_only_prompts_and_one_more_file_are_needed(tmp_path):
    """Prices, embeddings, texts, categories and splits may be absent; models are then in order of their names."""
    ids = [{"prompt_id": row["prompt_id"]} for row in PROMPTS]
    folder = write_shared(tmp_path, prompts=ids, comparisons=None, models=None)
    (folder / "embeddings.npy").unlink()
    loaded = load_shared(folder)
    assert loaded.model_ids == ("a", "b")
    assert np.isnan(loaded.models[0].input_mtok_usd)
    assert (loaded.texts, loaded.category, loaded.embeddings, loaded.comparisons) == ((), ("",) * 3, None, None)
    compared = load_shared(write_shared(tmp_path / "compared", outcomes=None))
    assert np.isnan(compared.quality).all()
    assert len(compared.comparisons) == 2


@pytest.mark.parametrize("name", SETS)
def test_real_set_is_whole(shared_dir, name):
    """Sizes are those of the data's own README, and the mean of each column is the file's."""
    prompts, models, outcomes, comparisons = SETS[name]
    folder = shared_dir / "data" / name
    loaded = load_shared(folder)
    assert loaded.quality.shape == (prompts, models)
    assert np.isfinite(loaded.quality).sum() == outcomes
    assert (0 if loaded.comparisons is None else len(loaded.comparisons)) == comparisons
    assert loaded.embeddings.shape == (prompts, 384)
    assert set(loaded.split) == {"train", "test"}
    if outcomes:
        rows = pq.read_table(folder / "outcomes.parquet").to_pylist()
        places = {prompt_id: i for i, prompt_id in enumerate(loaded.prompt_ids)}
        names = {model_id: k for k, model_id in enumerate(loaded.model_ids)}
        for row in rows[::97]:
            cell = places[row["prompt_id"]], names[row["model"]]
            assert loaded.quality[cell] == row["quality"]
            latency = row["latency_s"]
            seen = [loaded.cost_usd[cell], loaded.latency_ms[cell]]
            wanted = [row["cost_usd"], None if latency is None else latency * 1000]
            assert np.array_equal(seen, np.array(wanted, float), equal_nan=True)


def test_large_set_loads_fast(shared_dir):
    """10,655 prompts within 2 seconds, fingerprint and all."""
    load_shared(shared_dir / "data/mtbench_human")  # imports
    start = time.perf_counter()
    load_shared(shared_dir / "data/routellm")
    assert time.perf_counter() - start < 2.0


def test_embeddings_can_stand_in_a_column(tmp_path):
    """A list of numbers per prompt, instead of the file."""
    prompts = [row | {"vector": [float(i), 1.0, 2.0]} for i, row in enumerate(PROMPTS)]
    loaded = load_shared(write_shared(tmp_path, prompts=prompts), embedding_column="vector")
    assert loaded.embeddings.tolist() == [[0, 1, 2], [1, 1, 2], [2, 1, 2]]


@pytest.mark.parametrize(
    "vectors, message",
    [
        ([[1.0, 2.0], [1.0], [1.0, 2.0]], r"prompts\.parquet row 2: vector: expected 2 numbers, got 1"),
        ([[1.0, 2.0], None, [1.0, 2.0]], r"prompts\.parquet row 2: vector: expected 2 numbers, got 0"),
        ([[1.0, 2.0], [1.0, None], [1.0, 2.0]], r"prompts\.parquet row 2: vector: expected numbers, got nothing"),
        ([[1.0, np.nan], [1.0, 2.0], [1.0, 2.0]], r"prompts\.parquet row 1: vector: expected finite numbers"),
        ([[1.0, 1e5], [1.0, 2.0], [1.0, 2.0]], r"prompts\.parquet row 1: vector: expected numbers within float16"),
        ([1.0, 2.0, 3.0], r"vector: expected a list of numbers, got double"),
    ],
)
def test_column_without_vectors_is_refused(tmp_path, vectors, message):
    """Row and column are named."""
    prompts = [row | {"vector": vector} for row, vector in zip(PROMPTS, vectors, strict=True)]
    with pytest.raises(DatasetError, match=message):
        load_shared(write_shared(tmp_path, prompts=prompts), embedding_column="vector")


@pytest.mark.parametrize(
    "files, message",
    [
        ({"outcomes": _with(OUTCOMES, 1, quality=1.2)}, r"outcomes\.parquet row 2: quality: .* \[0, 1\], got 1\.2"),
        ({"outcomes": _with(OUTCOMES, 1, quality=-0.1)}, r"outcomes\.parquet row 2: quality: .* got -0\.1"),
        ({"outcomes": _with(OUTCOMES, 1, quality=np.nan)}, r"outcomes\.parquet row 2: quality: .* got nan"),
        ({"outcomes": _with(OUTCOMES, 2, cost_usd=np.inf)}, r"row 3: cost_usd: expected a finite number >= 0, got inf"),
        ({"outcomes": _with(OUTCOMES, 2, cost_usd=-1e-9)}, r"row 3: cost_usd: .* got -1e-09"),
        ({"outcomes": _with(OUTCOMES, 0, latency_s=-1.0)}, r"row 1: latency_s: .* got -1\.0"),
        ({"outcomes": _with(OUTCOMES, 0, model="z")}, r"row 1: model: expected a model of models\.json, got 'z'"),
        ({"outcomes": _with(OUTCOMES, 0, model=None)}, r"row 1: model: .* got nothing"),
        ({"outcomes": _with(OUTCOMES, 2, prompt_id="p9")}, r"row 3: prompt_id: .*prompts\.parquet, got 'p9'"),
        (
            {"outcomes": [*OUTCOMES, OUTCOMES[0]]},
            r"outcomes\.parquet row 4: model: expected one row per prompt and model, got .*'a', after .* row 1",
        ),
        ({"outcomes": [row | {"quality": None} for row in OUTCOMES]}, r"quality: .*measured quality, got only nulls"),
        ({"outcomes": [row | {"quality": "good"} for row in OUTCOMES]}, r"row 1: quality: .* number, got 'good'"),
        ({"outcomes": [{"prompt_id": "p1", "model": "a"}]}, r"outcomes\.parquet: expected a column quality, got only"),
        (
            {"outcomes": [row for row in OUTCOMES if row["model"] == "a"], "comparisons": None},
            "at least 2 models, got 1",
        ),
        ({"prompts": [*PROMPTS, PROMPTS[0]]}, r"prompts\.parquet row 4: prompt_id: .* 'p1', already in .* row 1"),
        ({"prompts": _with(PROMPTS, 1, prompt_id=None)}, r"row 2: prompt_id: expected a text, got nothing"),
        ({"prompts": _with(PROMPTS, 1, text=None)}, r"row 2: text: expected a text, got nothing"),
        ({"prompts": _with(PROMPTS, 1, text="")}, r"row 2: text: expected a text, got an empty one"),
        ({"prompts": [{"id": "p1"}]}, r"prompts\.parquet: expected a column prompt_id, got only id"),
        ({"prompts": PROMPTS[:2]}, r"outcomes\.parquet row 3: prompt_id: .* got 'p3'"),
        ({"comparisons": _with(COMPARISONS, 1, winner="c")}, r"comparisons\.parquet row 2: winner: .* got 'c'"),
        ({"comparisons": _with(COMPARISONS, 0, model_b="b")}, r"row 1: model_b: expected another model .* got 'b'"),
        ({"comparisons": _with(COMPARISONS, 0, model_a="z")}, r"row 1: model_a: expected a model of .* got 'z'"),
        ({"comparisons": _with(COMPARISONS, 0, strength_a=2.0)}, r"row 1: strength_a: .* got 2\.0"),
        ({"models": '{"a": {}'}, r"models\.json: expected JSON, got character 8"),
        ({"models": "[]"}, r"models\.json: expected a JSON object, got a list"),
        ({"models": '{"a": 1, "b": {}}'}, r"models\.json: a: expected an object, got 1"),
        ({"models": '{"a": {}, "a": {}, "b": {}}'}, r"models\.json: expected each key once, got 'a'"),
        ({"models": MODELS | {"a": {"input_usd_per_1m": -1}}}, r"models\.json: a\.input_usd_per_1m: .* got -1"),
        ({"models": MODELS | {"a": {"input_usd_per_1m": "1"}}}, r"models\.json: a\.input_usd_per_1m: .* got a text"),
        ({"rows": np.ones((2, 4))}, r"embeddings\.npy: expected 3 rows, .* got shape \(2, 4\)"),
        ({"rows": np.array(["a", "b", "c"])}, r"embeddings\.npy: expected an array of numbers, got <U1"),
        ({"rows": np.full((3, 2), np.nan)}, r"embeddings\.npy row 1: .* finite numbers within float16, got nan"),
        (
            {"outcomes": None, "comparisons": None},
            r"expected a file outcomes\.parquet or comparisons\.parquet, got neither",
        ),
    ],
)
def test_broken_file_is_named(tmp_path, files, message):
    """Nothing of a broken cell becomes a number."""
    with pytest.raises(DatasetError, match=message):
        load_shared(write_shared(tmp_path, **files))


@pytest.mark.parametrize("name", ["prompts.parquet", "outcomes.parquet", "comparisons.parquet", "embeddings.npy"])
@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_cut_file_is_named(tmp_path, name, kept):
    """A broken download is told as such."""
    path = write_shared(tmp_path) / name
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DatasetError, match=rf"{name}: expected a whole"):
        load_shared(tmp_path)


def test_file_without_rows_is_refused(tmp_path):
    """An empty data set is not a data set."""
    folder = write_shared(tmp_path)
    write_parquet(folder / "prompts.parquet", [], pa.schema([("prompt_id", pa.string())]))
    with pytest.raises(DatasetError, match=r"prompts\.parquet: expected at least one row, got none"):
        load_shared(folder)


def test_pickled_embeddings_are_refused(tmp_path):
    """An array of objects would run its maker's code."""
    write_shared(tmp_path, rows=np.array([{}, {}, {}], dtype=object))
    with pytest.raises(DatasetError, match=r"embeddings\.npy: expected a whole array of numbers, got Object arrays"):
        load_shared(tmp_path)
