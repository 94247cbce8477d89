"""Comparisons as Chatbot Arena logs them: one meaning in four kinds of file."""

import json

import pytest

from banditd_sim.datasets import DatasetError, load_arena
from banditd_sim.table import A_WON, B_WON, BOTH_BAD, TIE

from .made import write_csv, write_lines, write_parquet


def _vote(prompt="Hello?", a="x", b="y", winner="model_a", **more):
    return {"prompt": prompt, "model_a": a, "model_b": b, "winner": winner, "judge": "eve"} | more


VOTES = [
    _vote(winner="model_b"),
    _vote("Bye?", "y", "z", "tie", judge=None),
    _vote("Hello?", "z", "x", "tie (bothbad)"),
    _vote("Hello?"),
]


def _json(path, records):
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "write, name",
    [(_json, "v.json"), (write_lines, "v.jsonl"), (write_csv, "v.csv"), (write_parquet, "v.parquet")],
)
def test_every_column_has_its_place(tmp_path, write, name):
    """Equal texts are one prompt; models in order of names; both kinds of tie are kept apart."""
    table = load_arena(write(tmp_path / name, VOTES))
    assert table.texts == ("Hello?", "Bye?")
    assert table.model_ids == ("x", "y", "z")
    c = table.comparisons
    assert c.prompt.tolist() == [0, 1, 0, 0]
    assert c.model_a.tolist() == [0, 1, 2, 0]
    assert c.model_b.tolist() == [1, 2, 0, 1]
    assert c.winner.tolist() == [B_WON, TIE, BOTH_BAD, A_WON]
    assert c.judge == ("eve", "", "eve", "eve")
    assert table.prompt_ids[0].startswith("v:")
    assert len(set(table.prompt_ids)) == 2
    assert table.quality.shape == (2, 3)
    assert table.fingerprint == load_arena(_json(tmp_path / "v.json", VOTES)).fingerprint


TURNS = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "Two?"},
]


@pytest.mark.parametrize(
    "columns, text",
    [
        ({"conversation_a": TURNS}, "One?\n\nTwo?"),
        ({"conversation_a": TURNS, "turn": 1}, "One?"),
        ({"conversation_a": json.dumps(TURNS)}, "One?\n\nTwo?"),
        ({"prompt": ["One?", "Two?"]}, "One?\n\nTwo?"),
        ({"prompt": '["One?"]'}, "One?"),
        ({"prompt": "[1, 2] is what?"}, "[1, 2] is what?"),
        ({"prompt": '["quoted] is what?'}, '["quoted] is what?'),
    ],
)
def test_prompt_is_what_the_user_said(tmp_path, columns, text):
    """Lists of turns and of texts, also as JSON in a text; a prompt that begins with a bracket is itself."""
    votes = [_vote() | columns, _vote("Other?", "y", "x")]
    if "prompt" not in columns:
        votes = [{k: v for k, v in vote.items() if k != "prompt"} for vote in votes]
        votes[1]["conversation_a"] = TURNS[:1]
    assert load_arena(write_lines(tmp_path / "v.jsonl", votes)).texts[0] == text


def test_without_texts_questions_are_prompts(tmp_path):
    """A table of votes alone can be replayed by model, though not embedded."""
    votes = [{k: v for k, v in vote.items() if k != "prompt"} | {"question_id": i % 2} for i, vote in enumerate(VOTES)]
    table = load_arena(write_lines(tmp_path / "v.jsonl", votes))
    assert (table.prompt_ids, table.texts) == (("0", "1"), ())


def test_category_and_split_are_the_first_rows(tmp_path):
    """And so are embeddings from a column."""
    votes = [vote | {"category": f"c{i}", "split": "test", "v": [i, 1]} for i, vote in enumerate(VOTES)]
    table = load_arena(write_lines(tmp_path / "v.jsonl", votes), embedding_column="v")
    assert (table.category, table.split) == (("c0", "c1"), ("test", "test"))
    assert table.embeddings.tolist() == [[0, 1], [1, 1]]


@pytest.mark.parametrize(
    "vote, message",
    [
        (_vote(winner="x"), r"v\.jsonl:2: winner: expected one of model_a, .*, got 'x'"),
        (_vote(winner=None), r"v\.jsonl:2: winner: expected a text, got nothing"),
        (_vote(b="x"), r"v\.jsonl:2: model_b: expected another model than model_a, got 'x'"),
        (_vote(a=""), r"v\.jsonl:2: model_a: expected a text, got an empty one"),
        (_vote(a=None), r"v\.jsonl:2: model_a: expected a text, got nothing"),
        (_vote(prompt=" "), r"v\.jsonl:2: prompt: expected a text, .*, got a blank text"),
        (_vote(prompt=None), r"v\.jsonl:2: prompt: .*, got nothing"),
        (_vote(prompt=[{"role": "assistant", "content": "x"}]), r"v\.jsonl:2: prompt: .*, got a blank text"),
        (_vote(prompt=[{"role": "user"}]), r"v\.jsonl:2: prompt: .*, got a list of something else"),
        (_vote(judge=["a"]), r"v\.jsonl:2: judge: expected a text, got a list"),
        ('{"model_a": "x"', r"v\.jsonl:2: expected JSON, got character"),
        ("[1]", r"v\.jsonl:2: expected a JSON object, got a list"),
        ('{"model_a": "x", "model_a": "y"}', r"v\.jsonl:2: expected each key once, got 'model_a'"),
    ],
)
def test_broken_line_is_named(tmp_path, vote, message):
    """File, line and field; never the prompt."""
    with pytest.raises(DatasetError, match=message):
        load_arena(write_lines(tmp_path / "v.jsonl", [_vote(), vote]))


def test_conversation_that_is_no_json_is_refused(tmp_path):
    """As NumPy prints lists of objects into CSV files, without commas: it is not guessed."""
    votes = [{k: v for k, v in _vote().items() if k != "prompt"} | {"conversation_a": "[{'role': 'user'} {}]"}]
    with pytest.raises(DatasetError, match=r"v\.csv row 1: conversation_a: expected a JSON list of \{role, content\}"):
        load_arena(write_csv(tmp_path / "v.csv", votes))


@pytest.mark.parametrize(
    "content, message",
    [
        ("", r"v\.json: expected JSON, got character 0"),
        ("[]", r"v\.json: expected at least one row, got none"),
        ("{}", r"v\.json: expected a list of objects, got an object"),
        ("[1]", r"v\.json row 1: expected an object, got 1"),
        (json.dumps(VOTES)[:-10], r"v\.json: expected JSON, got character"),
        (
            json.dumps([{"model_a": "x", "model_b": "y"}]),
            r"v\.json: expected a column winner, got only model_a, model_b",
        ),
        (
            json.dumps([{"model_a": "x", "model_b": "y", "winner": "tie"}]),
            "a column prompt, conversation_a or question_id",
        ),
    ],
)
def test_broken_file_is_named(tmp_path, content, message):
    """Empty, cut off, or of another form."""
    (tmp_path / "v.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        load_arena(tmp_path / "v.json")


def test_no_lines_are_refused(tmp_path):
    """An empty file of lines holds no votes."""
    (tmp_path / "v.jsonl").write_text("\n\n")
    with pytest.raises(DatasetError, match=r"v\.jsonl: expected at least one row, got none"):
        load_arena(tmp_path / "v.jsonl")
