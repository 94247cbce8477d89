"""RouterBench's wide table: the same from CSV and Parquet, broken cells named, pickles refused."""

import pickle

import numpy as np
import pytest

from banditd_sim.datasets import DatasetError, load_routerbench

from .made import write_csv, write_parquet

ROWS = [
    {
        "": 0,
        "sample_id": "arc.1",
        "prompt": 'Say "x",\nplease.',
        "eval_name": "arc",
        "m/a": 1.0,
        "b": 0.25,
        "m/a|model_response": "x\ny",
        "b|model_response": "",
        "m/a|total_cost": 0.001,
        "b|total_cost": 0.0,
        "oracle_model_to_route_to": "m/a",
    },
    {
        "": 1,
        "sample_id": "arc.2",
        "prompt": "Two?",
        "eval_name": "arc",
        "m/a": 0.0,
        "b": None,
        "m/a|model_response": "z",
        "b|model_response": "z",
        "m/a|total_cost": 1e-7,
        "b|total_cost": None,
        "oracle_model_to_route_to": "no_model_correct",
    },
]


def _with(i, **changes):
    return [row | changes if j == i else row for j, row in enumerate(ROWS)]


@pytest.mark.parametrize("write, name", [(write_csv, "zs.csv"), (write_parquet, "zs.parquet")])
def test_every_column_has_its_place(tmp_path, write, name):
    """Models in order of their cost columns; an empty cell is a gap; answers and oracle are not read."""
    table = load_routerbench(write(tmp_path / name, ROWS))
    assert table.name == "zs"
    assert table.prompt_ids == ("arc.1", "arc.2")
    assert table.texts == ('Say "x",\nplease.', "Two?")
    assert table.category == ("arc", "arc")
    assert table.model_ids == ("m/a", "b")
    assert np.array_equal(table.quality, [[1.0, 0.25], [0.0, np.nan]], equal_nan=True)
    assert np.array_equal(table.cost_usd, [[0.001, 0.0], [1e-7, np.nan]], equal_nan=True)
    assert np.isnan(table.latency_ms).all()


def test_both_files_are_one_data_set(tmp_path):
    """Equal content, equal fingerprint."""
    csv = load_routerbench(write_csv(tmp_path / "a.csv", ROWS))
    assert csv.fingerprint == load_routerbench(write_parquet(tmp_path / "b.parquet", ROWS)).fingerprint


def test_true_and_false_are_scores(tmp_path):
    """As some of the source's tasks have them."""
    rows = [row | {"m/a": i == 0, "b": i == 1} for i, row in enumerate(ROWS)]
    for table in (
        load_routerbench(write_csv(tmp_path / "a.csv", rows)),
        load_routerbench(write_parquet(tmp_path / "b.parquet", rows)),
    ):
        assert table.quality.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path):
    """A spreadsheet's harmless habits."""
    path = write_csv(tmp_path / "a.csv", ROWS)
    whole = load_routerbench(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_routerbench(path).fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    "rows, message",
    [
        (_with(1, b=1.5), r"zs\.csv row 2: b: expected a number in \[0, 1\], got 1\.5"),
        (_with(1, b="nan"), r"zs\.csv row 2: b: .* got nan"),
        (_with(1, b="good"), r"zs\.csv row 2: b: expected a number, got 'good'"),
        (_with(1, b="1_0"), r"zs\.csv row 2: b: expected a number, got '1_0'"),
        (_with(0, **{"b|total_cost": -1}), r"zs\.csv row 1: b\|total_cost: expected a finite number >= 0, got -1\.0"),
        (_with(0, **{"b|total_cost": "inf"}), r"zs\.csv row 1: b\|total_cost: .* got inf"),
        (
            _with(1, sample_id="arc.1"),
            r"zs\.csv row 2: sample_id: expected distinct ids, got 'arc\.1', already in zs\.csv row 1",
        ),
        (_with(1, sample_id=""), r"zs\.csv row 2: sample_id: expected a text, got an empty one"),
        ([{k: v for k, v in row.items() if k != "b"} for row in ROWS], r"zs\.csv: expected a column b beside b\|total"),
        (
            [{k: v for k, v in row.items() if k != "b|total_cost"} for row in ROWS],
            r"zs\.csv: expected a column b\|total_cost beside b\|model_response, got none",
        ),
        (
            [{k: v for k, v in row.items() if not k.startswith("b")} for row in ROWS],
            "expected two or more models, .* 1",
        ),
        (
            [{k: v for k, v in row.items() if k != "sample_id"} for row in ROWS],
            r"expected a column sample_id, got only",
        ),
        (
            [row | {"m/a": None, "b": None} for row in ROWS],
            r"m/a: expected at least one measured quality, got only gaps",
        ),
    ],
)
def test_broken_table_is_named(tmp_path, rows, message):
    """File, row and column."""
    with pytest.raises(DatasetError, match=message):
        load_routerbench(write_csv(tmp_path / "zs.csv", rows))


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda b: b"", r"a\.csv: expected a header and rows, got an empty file"),
        (lambda b: b.split(b"\n")[0] + b"\n", r"a\.csv: expected at least one row, got none"),
        (lambda b: b[: b.index(b"please")], r"a\.csv row 1: expected a whole row of CSV, got unexpected end of data"),
        (lambda b: b[: b.index(b"Two?")], r"a\.csv row 2: expected 11 fields, as in the header, got 3"),
        (lambda b: b.replace(b"Two?", b"\xff"), r"a\.csv:5: expected UTF-8, got byte 8: invalid start byte"),
    ],
)
def test_cut_file_is_named(tmp_path, damage, message):
    """A file that ends inside a row or a quoted text is not taken for a whole one."""
    path = write_csv(tmp_path / "a.csv", ROWS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetError, match=message):
        load_routerbench(path)


def test_column_twice_is_refused(tmp_path):
    """Which of the two would be the score?"""
    path = tmp_path / "a.csv"
    path.write_text("sample_id,a,b,b,a|total_cost,b|total_cost\n1,1,1,1,1,1\n")
    with pytest.raises(DatasetError, match=r"a\.csv: expected distinct columns, got 'b' twice"):
        load_routerbench(path)


@pytest.mark.parametrize("name", ["routerbench_0shot.pkl", "x.pickle"])
def test_pickle_is_refused_unread(tmp_path, name):
    """The form in which the set is published: its bytes are never interpreted."""
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DatasetError, match=r"expected a Parquet or CSV file, got a pickle, which runs whatever code"):
        load_routerbench(path)


class Trap:
    """Fails the test if it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("the pickle was read",)


def test_other_file_is_refused(tmp_path):
    """Neither a folder nor an unknown ending is tried."""
    with pytest.raises(DatasetError, match="expected a file, got a folder"):
        load_routerbench(tmp_path)
    with pytest.raises(DatasetError, match="expected a file, got none"):
        load_routerbench(tmp_path / "absent.csv")
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"expected a name that ends in one of \.parquet, .*, got \.xlsx"):
        load_routerbench(tmp_path / "a.xlsx")
