"""open_dataset: each form by looking, by path and by name; and what is said where nothing fits."""

import gzip
import json
import pickle
import zipfile

import numpy as np
import pytest

from banditd_sim.datasets import (
    FORMS,
    Dataset,
    DatasetError,
    ParetoBanditError,
    data_folders,
    describe,
    find_datasets,
    log_fingerprint,
    open_dataset,
    write_banditd,
    write_dsjson,
    write_open_bandit,
)
from banditd_sim.worlds import WorldError

from .made import log, same_log, table, write_csv, write_lines, write_parquet, write_shared

VOTES = [{"prompt": "p", "model_a": "x", "model_b": "y", "winner": "tie"}]
WIDE = [{"sample_id": "s", "a": 1.0, "b": 0.5, "a|total_cost": 1.0, "b|total_cost": 0.5}]
SHOWN = [{"item_id": i % 2, "click": 0, "propensity_score": 0.5, "position": 1 + i % 3} for i in range(6)]


def _pareto(folder):
    folder.mkdir()
    for i, name in enumerate(("val", "test_holdout")):
        arms = {model: {"reward": 0.5, "cost": 1e-4} for model in ("a", "b")}
        write_lines(folder / f"{name}.jsonl", [{"prompt": f"Prompt {i}?", "source": "s", "arms": arms}])
    return folder


def _wheel(path):
    folder = _pareto(path.parent / "unpacked")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"pareto_bandit/data/examples/{file.name}")
    return path


def _json(path, records):
    path.write_text(json.dumps(records))
    return path


def _banditd(folder):
    write_banditd(log(), folder)
    return folder


def _dsjson(path):
    write_dsjson(log(), path)
    return path


def _zipped(path):
    write_dsjson(log(), path.with_suffix(""))
    path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    return path


MADE = {
    "shared": ("set", write_shared),
    "routerbench-csv": ("wide.csv", lambda path: write_csv(path, WIDE)),
    "routerbench-parquet": ("wide.parquet", lambda path: write_parquet(path, WIDE)),
    "arena-json": ("votes.json", lambda path: _json(path, VOTES)),
    "arena-jsonl": ("votes.jsonl", lambda path: write_lines(path, VOTES)),
    "arena-csv": ("votes.csv", lambda path: write_csv(path, VOTES)),
    "arena-parquet": ("votes.parquet", lambda path: write_parquet(path, VOTES)),
    "paretobandit-folder": ("pareto", _pareto),
    "paretobandit-wheel": ("paretobandit-9-py3-none-any.whl", _wheel),
    "banditd": ("export", _banditd),
    "open_bandit-file": ("all.csv", lambda path: write_csv(path, SHOWN)),
    "open_bandit-folder": ("obd", lambda path: write_open_bandit(log(reward=[0] * 200, eligible=None), path).parent),
    "dsjson": ("log.dsjson", _dsjson),
    "dsjson-json": ("log.json", _dsjson),
    "dsjson-gz": ("log.json.gz", _zipped),
}


@pytest.mark.parametrize("made", MADE)
def test_form_is_recognised_by_looking(tmp_path, made):
    """Whatever the name; and each form has a test here."""
    name, write = MADE[made]
    opened = open_dataset(write(tmp_path / name))
    assert opened.form == made.partition("-")[0]
    assert len(describe(opened).fingerprint) == 32
    assert {key.partition("-")[0] for key in MADE} == {form.name for form in FORMS}


def test_table_is_described(tmp_path):
    """Sizes, gaps, comparisons, splits, categories and the fingerprint."""
    said = describe(open_dataset(write_shared(tmp_path / "made")))
    assert (said.name, said.form, said.kind, said.rows, said.model_ids) == ("made", "shared", "table", 3, ("b", "a"))
    assert (said.gap_count, said.comparison_count, said.category_count, said.embedding_dimension) == (3, 2, 2, 2)
    assert said.splits == {"test": 1, "train": 1}
    assert said.fingerprint == table().fingerprint


def test_log_is_described(tmp_path):
    """Rounds, unobserved rewards, and a fingerprint that other forms of the same log share."""
    made = log()
    write_banditd(made, tmp_path / "export")
    write_dsjson(made, tmp_path / "log.dsjson")
    said = describe(open_dataset(tmp_path / "export"))
    assert (said.name, said.kind, said.rows, said.model_ids) == ("export", "log", 200, made.model_ids)
    assert (said.gap_count, said.comparison_count, said.category_count) == (int(np.isnan(made.reward).sum()), 0, 3)
    assert (said.embedding_dimension, dict(said.splits)) == (4, {})
    assert said.fingerprint == describe(open_dataset(tmp_path / "log.dsjson")).fingerprint
    assert log_fingerprint(log(seed=1)) != said.fingerprint


def test_what_banditd_keeps_beside_the_rounds_is_there(tmp_path):
    """So is the world behind a synthetic table."""
    write_banditd(log(), tmp_path)
    opened = open_dataset(tmp_path)
    assert same_log(opened.data, log())
    assert opened.beside.learnable.all()
    world = open_dataset("world:clustered#prompts=50,clusters=3,seed=2")
    assert (world.form, world.name) == ("world", "clustered")
    assert world.beside.mean_quality.shape == (50, 5)
    assert describe(world).category_count == 3


def test_options_reach_the_form(tmp_path):
    """After the path, as key=value."""
    path = write_csv(tmp_path / "all.csv", SHOWN)
    assert describe(open_dataset(f"{path}#position=2")).rows == 2
    write_dsjson(log(20), tmp_path / "log.dsjson")
    opened = open_dataset(f"{tmp_path / 'log.dsjson'}#reward_min=-2,reward_max=3")
    assert (opened.data.reward_min, opened.data.reward_max) == (-2.0, 3.0)
    assert opened.source.endswith("#reward_min=-2,reward_max=3")


@pytest.mark.parametrize(
    "tail, message",
    [
        ("#x=1", r"x: expected options among campaign, policy, position, affinity, got 'x'"),
        ("#position", "expected options as key=value, separated by commas, each once, got 'position'"),
        ("#position=1,position=1", "each once, got 'position=1'"),
        ("#position=one", "position: expected a whole number >= 0, got 'one'"),
        ("#position=-1", "position: expected a whole number >= 0, got '-1'"),
        ("#affinity=yes", "affinity: expected true or false, got 'yes'"),
    ],
)
def test_wrong_option_is_refused(tmp_path, tail, message):
    """A mistyped option would silently be the default."""
    path = write_csv(tmp_path / "all.csv", SHOWN)
    with pytest.raises(DatasetError, match=message):
        open_dataset(f"{path}{tail}")


def test_path_with_a_number_sign_is_a_path(tmp_path):
    """What stands there is what is meant."""
    path = write_csv(tmp_path / "log#1.csv", SHOWN)
    assert describe(open_dataset(path)).rows == 6


def test_folder_of_two_campaigns_needs_a_choice(shared_dir):
    """They are logs about different items."""
    folder = shared_dir / "data/obd"
    with pytest.raises(DatasetError, match="campaign: expected the choice of one of all, men, got none"):
        open_dataset(folder)
    said = describe(open_dataset(f"{folder}#campaign=men,policy=bts"))
    assert (said.rows, len(said.model_ids)) == (10_000, 34)


def test_name_is_looked_up_in_folders(tmp_path, monkeypatch):
    """Those given first, then those of the variable; a path wins over a name."""
    write_shared(tmp_path / "one" / "set", outcomes=None)
    write_shared(tmp_path / "two" / "set")
    monkeypatch.setenv("BANDITD_DATA", f"{tmp_path / 'absent'}:{tmp_path / 'two'}")
    assert describe(open_dataset("set")).gap_count == 3
    assert describe(open_dataset("set", folders=[tmp_path / "one"])).gap_count == 6
    assert describe(open_dataset("set", folders=[tmp_path / "two", tmp_path / "one"])).gap_count == 3
    assert data_folders([tmp_path]) == [tmp_path, tmp_path / "absent", tmp_path / "two"]
    with pytest.raises(DatasetError, match=r"\.\./set: expected a path, paretobandit, one of world:linear, .*two"):
        open_dataset("../set", folders=[tmp_path / "one"])


def test_real_folder_is_listed(shared_dir):
    """Every set of the data is recognised without being read."""
    found = {one.name: one.form.name for one in find_datasets([shared_dir / "data", shared_dir / "absent"])}
    assert found.pop("obd") == "open_bandit"
    assert set(found.values()) == {"shared"}
    assert len(found) == 8


def test_folder_that_is_a_set_is_listed_as_one(tmp_path):
    """Not as the files in it; what is nothing is passed over."""
    write_shared(tmp_path / "set")
    (tmp_path / "notes.txt").write_text("x")
    assert [one.name for one in find_datasets([tmp_path])] == ["set"]
    assert [one.name for one in find_datasets([tmp_path / "set"])] == ["set"]


def test_installed_package_is_a_name():
    """As the demo reads it."""
    try:
        opened = open_dataset("paretobandit")
    except ParetoBanditError:
        pytest.skip("needs the package paretobandit (--no-deps): pip install 'banditd-sim[demo]'")
    said = describe(opened)
    assert (said.rows, len(said.model_ids), said.gap_count) == (3609, 3, 0)
    assert said.splits == {"val": 1785, "test_holdout": 1824}
    with pytest.raises(DatasetError, match="x: expected no options, got 'x'"):
        open_dataset("paretobandit#x=1")


@pytest.mark.parametrize(
    "name, content, message",
    [
        (
            "notes.txt",
            b"x",
            r"known form, got none \(shared: not a folder; dsjson: not a file .*routerbench: not a file",
        ),
        (
            "wide.csv",
            b"a,b\n1,2\n",
            r"routerbench: no column sample_id; arena: no column model_a; .*: no column item_id",
        ),
        ("cut.parquet", b"PAR1", r"routerbench: cut\.parquet: expected a whole Parquet file, got"),
        ("rows.jsonl", b'{"a": 1', r"dsjson: no _label_cost .*arena: rows\.jsonl:1: expected JSON, got character"),
        ("empty.csv", b"", r"arena: empty\.csv: expected a header and rows, got an empty file"),
        ("log.json.gz", b"\x1f\x8b", r"dsjson: no whole gzip file"),
        ("x.pkl", pickle.dumps(1), r"expected a Parquet or CSV file, got a pickle, which runs whatever code"),
    ],
)
def test_what_has_no_form_is_refused(tmp_path, name, content, message):
    """The message says what each form missed."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path / name)


def test_empty_folder_is_refused(tmp_path):
    """So says each form of folders."""
    with pytest.raises(DatasetError, match=r"shared: no file prompts\.parquet in it; .*banditd: no file decisions"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    "source, message",
    [
        ("world:flat", "world: expected one of linear, nonlinear, clustered, drifting, got 'flat'"),
        (
            "world:linear#turns=1",
            "linear: expected settings among prompts, models, dimension, seed, noise, got 'turns'",
        ),
        ("world:linear#models=1", "models: expected at least 2, got 1"),
        ("world:linear#models=x", "models: expected a whole number, got 'x'"),
    ],
)
def test_world_that_is_not_there_is_refused(source, message):
    """The message says what there is."""
    with pytest.raises(WorldError, match=message):
        open_dataset(source)


def test_dataset_is_a_value():
    """Frozen, as all values here."""
    opened = open_dataset("world:linear#prompts=2")
    assert isinstance(opened, Dataset)
    with pytest.raises(AttributeError):
        opened.name = "x"
