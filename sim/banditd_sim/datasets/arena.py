"""Comparisons as Chatbot Arena logs them: a row per vote on two answers to one prompt.

    model_a, model_b         model_a, model_b   two different models
    winner                   winner             model_a or a; model_b or b; tie; tie (bothbad) or both_bad;
                                                tie (inconsistent), a verdict that turned with the order, is a tie
    prompt, or else          texts              a text, a list of texts, or a list of {role, content}, of which the
    conversation_a                              user's turns count (up to the turn voted on, if `turn` is there); in a
                                                text of a CSV file, a JSON list is read
    question_id              prompt_ids         where there are no texts; otherwise an id is made from the text
    judge                    judge              "" where absent
    category, split          category, split    "" where absent; of a prompt's first row

Equal texts are one prompt. The files are .json (a list), .jsonl, .csv or .parquet. There are no outcomes: quality and
cost are gaps. Models stand in order of their names.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from banditd_sim.datasets.columns import Columns
from banditd_sim.datasets.errors import DatasetError, shown
from banditd_sim.datasets.files import parse_json, read_columns, required
from banditd_sim.datasets.vectors import read_embeddings
from banditd_sim.ope.arrays import Int64, first_bad
from banditd_sim.table import A_WON, B_WON, BOTH_BAD, TIE, Comparisons, Float16, Table, TableError, TableModel, gaps

_WINNERS: Final = {
    "model_a": A_WON,
    "a": A_WON,
    "model_b": B_WON,
    "b": B_WON,
    "tie": TIE,
    "tie (inconsistent)": TIE,
    "tie (bothbad)": BOTH_BAD,
    "both_bad": BOTH_BAD,
}
_FURTHER: Final = ("prompt", "conversation_a", "question_id", "judge", "category", "split", "turn")


def load_arena(path: Path, *, name: str = "", embedding_column: str = "") -> Table:
    """Read a file of comparisons.

    Args:
        path: The file.
        name: Of the table; the file's stem where empty.
        embedding_column: Column with a list of numbers per vote, to be taken as embeddings: that of a prompt's first
            vote; empty for none.

    Raises:
        DatasetError: the file is absent, cut off or malformed; the message names file, row and column.
    """
    wanted = ["model_a", "model_b", "winner", *([embedding_column] if embedding_column else [])]
    columns = read_columns(path, lambda names: required(path.name, names, wanted, _FURTHER))
    a, b = columns.texts("model_a"), columns.texts("model_b")
    model_ids = sorted({*a, *b})
    model_a = columns.indices("model_a", model_ids, "a model")
    model_b = columns.indices("model_b", model_ids, "a model")
    row = first_bad(model_a == model_b)
    if row >= 0:
        raise columns.refuse(row, "model_b", "another model than model_a", repr(b[row]))
    name = name or path.stem
    prompt_ids, texts, prompt = _prompts(columns, name)
    # Row of each prompt's first vote.
    first = np.unique(prompt, return_index=True)[1]
    shape = (len(prompt_ids), len(model_ids))
    try:
        return Table(
            name=name,
            prompt_ids=tuple(prompt_ids),
            texts=tuple(texts),
            category=_of_first(columns, "category", first),
            split=_of_first(columns, "split", first),
            models=tuple(TableModel(model_id) for model_id in model_ids),
            quality=gaps(*shape),
            cost_usd=gaps(*shape),
            input_tokens=gaps(*shape),
            output_tokens=gaps(*shape),
            latency_ms=gaps(*shape),
            embeddings=_embeddings(columns, embedding_column, first),
            comparisons=Comparisons(
                prompt=prompt,
                model_a=model_a,
                model_b=model_b,
                winner=_winners(columns),
                judge=tuple(columns.texts("judge", blank="")) if "judge" in columns else ("",) * columns.count,
                strength_a=np.full(columns.count, np.nan),
            ),
        )
    except TableError as error:
        # Rows of the table are prompts, not votes: a row's number would mislead.
        raise DatasetError(path.name, error.field, error.expected, error.got) from error


def _winners(columns: Columns) -> Int64:
    winners = np.empty(columns.count, dtype=np.int64)
    for row, text in enumerate(columns.texts("winner")):
        winner = _WINNERS.get(text)
        if winner is None:
            raise columns.refuse(row, "winner", f"one of {', '.join(_WINNERS)}", repr(text[:24]))
        winners[row] = winner
    return winners


def _prompts(columns: Columns, name: str) -> tuple[list[str], list[str], Int64]:
    """Return the ids and texts of the different prompts in order of appearance, and each row's prompt."""
    source = next((column for column in ("prompt", "conversation_a") if column in columns), "")
    if not source and "question_id" not in columns:
        raise DatasetError(columns.file, "", "a column prompt, conversation_a or question_id", "none of them")
    if source:
        turns = columns.numbers("turn", least=1.0) if "turn" in columns else np.full(columns.count, np.nan)
        keys = [_text(columns, source, row, value, turns[row]) for row, value in enumerate(columns.objects(source))]
    else:
        keys = columns.texts("question_id")
    place: dict[str, int] = {}
    prompt = np.array([place.setdefault(key, len(place)) for key in keys], dtype=np.int64)
    if not source:
        return list(place), [], prompt
    ids = [f"{name}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}" for text in place]
    return ids, list(place), prompt


def _text(columns: Columns, source: str, row: int, value: Any, turns: float) -> str:
    """Return the prompt of one row."""
    if isinstance(value, str) and value.lstrip().startswith("[") and (source == "conversation_a" or '"' in value):
        try:
            value = parse_json(columns.where(row), value.encode("utf-8", "surrogatepass"))
        except DatasetError as error:
            # A prompt may begin with a bracket; a conversation must not be anything but a list.
            if source == "conversation_a":
                raise columns.refuse(row, source, "a JSON list of {role, content}", "another text") from error
    expected = "a text, a list of texts or a list of {role, content} with a user's turn"
    if isinstance(value, list):
        parts = [part for part in value if not isinstance(part, dict) or part.get("role") == "user"]
        texts: list[Any] = [part.get("content") if isinstance(part, dict) else part for part in parts]
        if not all(isinstance(text, str) for text in texts):
            raise columns.refuse(row, source, expected, "a list of something else")
        value = "\n\n".join(texts if np.isnan(turns) else texts[: int(turns)])
    if not isinstance(value, str) or not value.strip():
        raise columns.refuse(row, source, expected, "a blank text" if isinstance(value, str) else shown(value))
    return value


def _of_first(columns: Columns, name: str, first: Int64) -> tuple[str, ...]:
    if name not in columns:
        return ("",) * len(first)
    texts = columns.texts(name, blank="")
    return tuple(texts[row] for row in first)


def _embeddings(columns: Columns, name: str, first: Int64) -> Float16 | None:
    return read_embeddings(columns, name)[first] if name else None
