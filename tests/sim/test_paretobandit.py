"""The loader of the `paretobandit` package's prompts: real data whole, broken data named."""

import base64
import hashlib
import json
import zipfile

import numpy as np
import pytest

from banditd_sim.datasets.paretobandit import DISTRIBUTION, LIST_PRICES, ParetoBanditError, load_paretobandit

CHEAP, DEAR, NEW = "meta-llama/llama-3.1-8b-instruct", "google/gemini-2.5-pro", "new/model"
EXAMPLES = "pareto_bandit/data/examples"


def _line(prompt="Hello?", source="mmlu", **arms):
    arms = arms or {CHEAP: (0.5, 1e-5), DEAR: (1.0, 0.01)}
    return {
        "prompt": prompt,
        "source": source,
        "best_arm": DEAR,
        "arms": {model: {"reward": reward, "cost": cost, "near_best": True} for model, (reward, cost) in arms.items()},
    }


def _write(folder, val, test_holdout):
    for name, lines in (("val", val), ("test_holdout", test_holdout)):
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        (folder / f"{name}.jsonl").write_text(text + "\n", encoding="utf-8")
    return folder


class TestInstalled:
    """The real package."""

    @pytest.fixture(scope="class")
    @staticmethod
    def data():
        """Return the real data, or skip the test where the package is absent."""
        try:
            return load_paretobandit()
        except ParetoBanditError as error:
            if error.where != DISTRIBUTION:
                raise
            pytest.skip(f"needs the package {DISTRIBUTION} (--no-deps): pip install 'banditd-sim[demo]'")

    def test_all_prompts_and_models_are_there(self, data):
        """1,785 and 1,824 prompts of 31 benchmarks, three models from cheap to dear, nothing missing."""
        assert len(data) == 3609
        assert [data.rows_of(split).size for split in ("val", "test_holdout")] == [1785, 1824]
        assert data.model_ids == tuple(LIST_PRICES)
        assert len(set(data.category)) == 31
        assert data.quality.shape == data.cost_usd.shape == (3609, 3)

    def test_means_are_the_published_ones(self, data):
        """Quality and USD per 1,000 calls of the test part, computed once from the files by hand."""
        rows = data.rows_of("test_holdout")
        assert data.quality[rows].mean(axis=0) == pytest.approx([0.7931, 0.9231, 0.9322], abs=5e-5)
        assert data.cost_usd[rows].mean(axis=0) * 1000 == pytest.approx([0.0286, 0.5268, 15.1556], abs=5e-5)

    def test_prices_are_the_packages_own(self, data):
        """The list that stands in elsewhere says the same."""
        assert data.price_basis == "source"
        assert list(zip(data.input_usd_per_1m, data.output_usd_per_1m, strict=True)) == list(LIST_PRICES.values())

    def test_ids_join_with_the_shared_set(self, data, shared_dir):
        """The shared set was made from the same files: an id there is an id here, with the same outcome."""
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
        shared = parquet.read_table(shared_dir / "data/pareto/outcomes.parquet").to_pylist()
        row_of = {prompt_id: row for row, prompt_id in enumerate(data.prompt_ids)}
        for outcome in shared:
            if outcome["model"] in data.model_ids:
                cell = row_of[outcome["prompt_id"]], data.model_ids.index(outcome["model"])
                assert data.quality[cell] == pytest.approx(outcome["quality"], abs=1e-6)

    def test_arrays_are_read_only(self, data):
        """One load serves many simulations."""
        with pytest.raises(ValueError, match="read-only"):
            data.quality[0, 0] = 0.0


class TestForms:
    """Where the files may lie."""

    def test_folder_of_two_files_has_list_prices(self, tmp_path):
        """Two files are enough; a model without a known price has none, not zero."""
        arms = {NEW: (0.1, 0.0), DEAR: (1, 0.01)}
        data = load_paretobandit(_write(tmp_path, [_line(**arms)], [_line("Bye?", **arms)]))
        assert data.model_ids == (DEAR, NEW)
        assert data.price_basis == "list"
        assert data.input_usd_per_1m[0] == 1.25
        assert np.isnan([data.input_usd_per_1m[1], data.output_usd_per_1m[1]]).all()
        assert data.quality.tolist() == [[1.0, 0.1], [1.0, 0.1]]
        assert data.split == ("val", "test_holdout")

    def test_wheel_is_read_where_it_lies(self, tmp_path):
        """No unpacking and no installing."""
        wheel = _wheel(tmp_path)
        assert load_paretobandit(wheel).texts == ("Hello?", "Bye?")

    def test_prices_come_from_the_catalogue(self, tmp_path):
        """The package's own file wins over the list."""
        data = load_paretobandit(_wheel(tmp_path, models=[_price(DEAR, 7, 8), _price(CHEAP, 1, 2)]))
        assert data.model_ids == (DEAR, CHEAP)
        assert data.output_usd_per_1m.tolist() == [8, 2]
        assert data.price_basis == "source"

    def test_blank_lines_and_windows_line_ends_are_fine(self, tmp_path):
        """An editor's harmless habits."""
        _write(tmp_path, [_line(), ""], [_line("Bye?")])
        path = tmp_path / "val.jsonl"
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        assert len(load_paretobandit(tmp_path)) == 2


def _cell(reward=0.5, cost=0.1):
    return {
        "prompt": "p",
        "source": "s",
        "arms": {"a": {"reward": reward, "cost": cost}, "b": {"reward": 1, "cost": 1}},
    }


class TestBroken:
    """Each broken file names file, line and field."""

    @pytest.mark.parametrize(
        "line, message",
        [
            ('{"prompt": "cut of', r"val\.jsonl:2: expected a JSON object, got character \d+"),
            ("[]", r"val\.jsonl:2: expected a JSON object, got a list"),
            ("[" * 100_000, r"val\.jsonl:2: expected a JSON object, got "),
            ('{"prompt": ' + "1" * 5000 + "}", r"val\.jsonl:2: expected a JSON object, got "),
            ('{"prompt": "a", "prompt": "b"}', r"val\.jsonl:2: expected each key once, got 'prompt' more than once"),
            (_line(prompt=""), r"val\.jsonl:2: prompt: expected a text that is not blank, got a text"),
            (_line(prompt=7), r"val\.jsonl:2: prompt: expected a text that is not blank, got 7"),
            (_line(source=None), r"val\.jsonl:2: source: expected a text that is not blank, got nothing"),
            ({"prompt": "p", "source": "s"}, r"val\.jsonl:2: arms: expected .* two or more models, got nothing"),
            (_line(a=(1, 1)), r"val\.jsonl:2: arms: expected .* two or more models, got an object"),
            (
                {"prompt": "p", "source": "s", "arms": {"a": 1, "b": 2}},
                r"val\.jsonl:2: arms\.a: expected an object, got 1",
            ),
            (_cell(reward=1.01), r"val\.jsonl:2: arms\.a\.reward: expected a number in \[0, 1\], got 1\.01"),
            (_cell(reward=-0.1), r"arms\.a\.reward: expected a number in \[0, 1\], got -0\.1"),
            (_cell(reward=float("nan")), r"arms\.a\.reward: .* got nan"),
            (_cell(reward="0.5"), r"arms\.a\.reward: .* got a text"),
            (_cell(reward=True), r"arms\.a\.reward: .* got True"),
            (_cell(reward=None), r"arms\.a\.reward: .* got nothing"),
            (_cell(cost=-1), r"arms\.a\.cost: expected a finite number >= 0, got -1"),
            (_cell(cost=float("inf")), r"arms\.a\.cost: .* got inf"),
            (_cell(cost=10**400), r"arms\.a\.cost: .* got a huge number"),
            (
                _line("New", a=(1, 1), b=(1, 1)),
                r"val\.jsonl:2: arms: expected the models \['google.*\], got \['a', 'b'\]",
            ),
            (_line(" HELLO? "), r"val\.jsonl:2: prompt: expected a new text, got that of val\.jsonl:1"),
        ],
    )
    def test_broken_line_is_named(self, tmp_path, line, message):
        """Nothing of a broken line becomes a number."""
        with pytest.raises(ParetoBanditError, match=message):
            load_paretobandit(_write(tmp_path, [_line(), line], [_line("Bye?")]))

    def test_text_that_is_not_utf8_is_named(self, tmp_path):
        """A wrong encoding is not guessed."""
        _write(tmp_path, [_line()], [_line("Bye?")])
        (tmp_path / "val.jsonl").write_bytes(b'{"prompt": "\xff"}')
        with pytest.raises(ParetoBanditError, match=r"val\.jsonl:1: expected UTF-8, got byte 12: invalid start byte"):
            load_paretobandit(tmp_path)

    def test_text_in_both_splits_is_refused(self, tmp_path):
        """A test prompt that was learnt from would flatter every policy."""
        with pytest.raises(ParetoBanditError, match=r"test_holdout\.jsonl:1: prompt: .* got that of val\.jsonl:1"):
            load_paretobandit(_write(tmp_path, [_line()], [_line()]))

    def test_empty_file_is_refused(self, tmp_path):
        """No prompts are not data."""
        with pytest.raises(ParetoBanditError, match=r"test_holdout\.jsonl: expected at least one prompt, got none"):
            load_paretobandit(_write(tmp_path, [_line()], [""]))

    @pytest.mark.parametrize("name", ["val", "test_holdout"])
    def test_absent_file_is_named(self, tmp_path, name):
        """So is the folder that was searched."""
        (_write(tmp_path, [_line()], [_line("Bye?")]) / f"{name}.jsonl").unlink()
        with pytest.raises(ParetoBanditError, match=rf"{tmp_path.name}: expected a file {name}\.jsonl, got none"):
            load_paretobandit(tmp_path)

    def test_truncated_wheel_is_refused(self, tmp_path):
        """A broken download is told as such."""
        wheel = _wheel(tmp_path)
        wheel.write_bytes(wheel.read_bytes()[:-30])
        with pytest.raises(ParetoBanditError, match=r"\.whl: expected a whole wheel, got "):
            load_paretobandit(wheel)

    @pytest.mark.parametrize(
        "models, message",
        [
            ([], r"models\.json: models: expected a list of models, got a list"),
            ([1], r"models\.json: models\[0\]: expected an object, got 1"),
            ([{"model_id": "a", "input_cost_per_m": -1}], r"models\[0\]\.input_cost_per_m: .* got -1"),
            ([{"model_id": "a", "input_cost_per_m": 1}], r"models\[0\]\.output_cost_per_m: .* got nothing"),
            (["a", "a"], r"models\[1\]\.model_id: expected a new id, got a"),
        ],
    )
    def test_broken_catalogue_is_named(self, tmp_path, models, message):
        """A wrong price is refused like a wrong outcome."""
        models = [_price(model, 1, 1) if isinstance(model, str) else model for model in models]
        with pytest.raises(ParetoBanditError, match=message):
            load_paretobandit(_wheel(tmp_path, models=models))

    def test_absent_package_is_named_with_its_cure(self, monkeypatch):
        """Who lacks the extra reads what to type."""
        monkeypatch.setattr("sys.path", [])
        with pytest.raises(
            ParetoBanditError, match=r"paretobandit: expected the package .*pip install 'banditd-sim\[demo\]'"
        ):
            load_paretobandit()

    def test_installed_file_cut_at_a_line_end_is_refused(self, monkeypatch, tmp_path):
        """It would parse, and be less data without a word; the package's record tells."""
        _install(tmp_path, {"val": [_line(), _line("More?")], "test_holdout": [_line("Bye?")]})
        monkeypatch.syspath_prepend(tmp_path)
        assert len(load_paretobandit()) == 3
        path = tmp_path / EXAMPLES / "val.jsonl"
        path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
        with pytest.raises(ParetoBanditError, match=r"val\.jsonl: expected sha256 .*, as recorded, got "):
            load_paretobandit()
        path.unlink()
        with pytest.raises(ParetoBanditError, match=r"val\.jsonl: expected the file that .* lists, got No such file"):
            load_paretobandit()


def _price(model_id, input_usd, output_usd):
    return {"model_id": model_id, "input_cost_per_m": input_usd, "output_cost_per_m": output_usd}


def _wheel(folder, models=None):
    wheel = folder / "paretobandit-9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{EXAMPLES}/val.jsonl", json.dumps(_line()))
        archive.writestr(f"{EXAMPLES}/test_holdout.jsonl", json.dumps(_line("Bye?")))
        if models is not None:
            archive.writestr("pareto_bandit/config/models.json", json.dumps({"models": models}))
    return wheel


def _install(folder, splits):
    """Make an installed package, with a record, out of *splits*."""
    info = folder / "paretobandit-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paretobandit\nVersion: 9\n")
    (folder / EXAMPLES).mkdir(parents=True)
    record = []
    for split, lines in splits.items():
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        (folder / EXAMPLES / f"{split}.jsonl").write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.append(f"{EXAMPLES}/{split}.jsonl,sha256={digest},{len(content)}\n")
    (info / "RECORD").write_text("".join(record))
