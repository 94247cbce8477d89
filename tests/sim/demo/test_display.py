"""What the demo prints and draws."""

import io

import numpy as np
import pytest
from rich.console import Console

from banditd_sim.demo.accounting import compare
from banditd_sim.demo.display import Display, PartView, conclusions, result_table, short_names
from banditd_sim.demo.picture import draw


def _printed(thing):
    console = Console(file=io.StringIO(), width=120)
    console.print(thing)
    return console.file.getvalue()


@pytest.fixture
def comparison(make_data):
    """A comparison of two models."""
    data = make_data(
        [
            ("val", "a", (0.5, 0.9), (0.001, 0.01)),
            ("test_holdout", "a", (0.6, 0.9), (0.001, 0.01)),
            ("test_holdout", "a", (0.9, 0.9), (0.001, 0.01)),
        ]
    )
    return compare(data, np.array([0, 1, 0]), usd_weight=10.0, seed=0)


def test_makers_are_left_out_where_names_stay_different():
    """Two models of one name keep their makers."""
    assert short_names(["a/x", "b/y", "z"]) == ("x", "y", "z")
    assert short_names(["a/x", "b/x"]) == ("a/x", "b/x")


def test_elsewhere_than_on_a_terminal_a_part_is_a_few_plain_lines():
    """No control characters, means of what was added, the last line at the end."""
    console = Console(file=io.StringIO(), width=160)
    with Display(console, ["m/one", "m/two"]).part("learning", 20) as view:
        for i in range(20):
            view.add(0.5, 0.002, i % 2)
    lines = console.file.getvalue().splitlines()
    assert lines[-1] == "  learning 20/20; last 20: quality 0.500, USD per 1,000 2.000, one 50%, two 50%"
    assert len(lines) == 5
    assert "\x1b" not in console.file.getvalue()


def test_the_live_view_shows_progress_means_and_shares():
    """Also before the first round."""
    view = PartView("test", 4, ["one", "two"])
    assert "0/4" in _printed(view.render())
    view.add(0.25, 0.001, 1)
    shown = _printed(view.render())
    assert "1/4" in shown
    assert "quality 0.250, USD per 1,000 1.000" in shown
    assert "100%" in shown


def test_the_table_names_every_baseline(comparison):
    """Costs are per 1,000 prompts."""
    shown = _printed(result_table(comparison, ["one", "two"]))
    for row in ("always one", "always two", "fixed mix", "banditd", "category table [1]", "oracle [2]"):
        assert row in shown
    assert "10.0000" in shown


def test_the_sentences_tell_gain_and_saving(comparison):
    """With the interval, and the loss with the saving."""
    gain, saving, *_ = conclusions(comparison, ["one", "two"])
    assert gain.startswith("At equal cost banditd's quality is +0.0750")
    assert saving == "Against always two, the dearest, it saved 45.0% of the cost and lost 0.0000 of quality."


def test_the_picture_is_the_same_for_the_same_figures(comparison, tmp_path):
    """PNG and SVG, without a date."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        draw(comparison, ["one", "two"], tmp_path / name)
    for file in ("quality_cost.png", "quality_cost.svg"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    assert ">always two</text>" in (tmp_path / "first" / "quality_cost.svg").read_text(encoding="utf-8")
