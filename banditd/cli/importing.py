"""What `banditd models import` does: reads a file, compares it with the catalogue, and makes the differences."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import click

from banditd.catalog.litellm import TAG_PREFIXES, Listing, Reading, is_config, read_config, read_prices
from banditd.catalog.models import MODELS_MAX
from banditd.errors import BanditdError
from banditd_client import BanditdError as CallError
from banditd_client import Client, Model, Price

_FILE_BYTES_MAX: Final = 64 << 20
_TAGS_MAX: Final = 32


def import_models(client: Client, file: Path, reading: Reading, *, dry_run: bool) -> list[tuple[Model | None, Model]]:
    """Make what was read of *file*, print each difference, and return every model as it was and as it is to be.

    Raises:
        ClickException: Something cannot be made; the message names it.
        CallError: The server refused or could not be reached.
    """
    there = {model.model_id: model for model in client.list_models()}
    changes = [(there.get(x.model_id), _wanted(x, there.get(x.model_id))) for x in reading.listings]
    _check(file, there, changes)
    _apply(client, changes, dry_run=dry_run)
    return changes


def read(file: Path, form: str, prices: Path | None, only: tuple[str, ...]) -> Reading:
    """Return what a file says of the models whose names match.

    Raises:
        ClickException: It cannot be read or is wrong; the message names file and entry.
    """

    def matches(name: str) -> bool:
        return not only or any(fnmatchcase(name, pattern) for pattern in only)

    tree = _decoded(file)
    table = None if prices is None else _decoded(prices)
    try:
        if form == "litellm-config" or (form == "auto" and is_config(tree)):
            return read_config(tree, matches, table)
        if prices is not None:
            raise click.ClickException(f"--prices is for a configuration, and {file} is a price table")
        return read_prices(tree, matches)
    except BanditdError as error:
        raise click.ClickException(f"{file}: {error.message}") from error


def _decoded(file: Path) -> object:
    """Return the value of a JSON or YAML file."""
    try:
        if file.stat().st_size > _FILE_BYTES_MAX:
            raise click.ClickException(f"{file}: expected at most {_FILE_BYTES_MAX >> 20} MiB, got more")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file}: expected UTF-8 text, got other bytes") from error
    # YAML allows braces too, but a table of thousands of models takes minutes to read as YAML.
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            at = (
                f"line {error.lineno}: {error.msg}"
                if isinstance(error, json.JSONDecodeError)
                else "too deep, or a number too long"
            )
            raise click.ClickException(f"{file}: not valid JSON: {at}") from error
    return _of_yaml(file, text)


def _of_yaml(file: Path, text: str) -> object:
    try:
        import yaml
    except ImportError as error:
        raise click.ClickException(f"{file}: reading YAML needs PyYAML: pip install 'banditd[yaml]'") from error
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe ones
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # Never the text around the error: a configuration holds keys.
        mark = getattr(error, "problem_mark", None)
        at = "" if mark is None else f": line {mark.line + 1}"
        raise click.ClickException(f"{file}: not valid YAML{at}") from error


def _wanted(listing: Listing, there: Model | None) -> Model:
    """Return the model as it is to be: what the file says over what is there."""
    model = Model(listing.model_id) if there is None else there
    if listing.price is not None:
        price = listing.price
        model = replace(
            model,
            price=Price(price.input_mtok_usd, price.output_mtok_usd, price.cached_input_mtok_usd, price.request_usd),
        )
    if listing.context_window_tokens:
        model = replace(model, context_window_tokens=listing.context_window_tokens)
    # A kind of tags that the file says something of is replaced, the others stay.
    said = tuple(prefix for prefix in TAG_PREFIXES if any(tag.startswith(prefix) for tag in listing.tags))
    kept = tuple(tag for tag in model.tags if not tag.startswith(said)) if said else model.tags
    if set(tags := (*kept, *listing.tags)) != set(model.tags):
        model = replace(model, tags=tags)
    return model


def _check(file: Path, there: Mapping[str, Model], changes: list[tuple[Model | None, Model]]) -> None:
    """Raise before anything is changed if something cannot be."""
    added = sum(old is None for old, _ in changes)
    if added and len(there) + added > MODELS_MAX:
        raise click.ClickException(
            f"{file}: {added} models would come to the {len(there)} that are there, and the catalogue holds "
            f"{MODELS_MAX}; narrow them with --only"
        )
    for _, new in changes:
        if len(new.tags) > _TAGS_MAX:
            raise click.ClickException(
                f"{file}: {new.model_id}: expected at most {_TAGS_MAX} tags, got {len(new.tags)}"
            )


def _apply(client: Client, changes: list[tuple[Model | None, Model]], *, dry_run: bool) -> None:
    """Print each difference and make it."""
    for old, new in changes:
        if old == new:
            continue
        click.echo(_difference(old, new))
        if dry_run:
            continue
        try:
            _create(client, new) if old is None else _update(client, old, new)
        except CallError as error:
            # Nothing is taken back: what was done is unchanged in the next run.
            raise click.ClickException(f"{new.model_id}: {error}; models before it are done") from error


def _create(client: Client, model: Model) -> None:
    client.create_model(
        model.model_id, price=model.price, context_window_tokens=model.context_window_tokens, tags=model.tags
    )


def _update(client: Client, old: Model, new: Model) -> None:
    fields = ("price", "context_window_tokens", "tags")
    changed: dict[str, Any] = {name: getattr(new, name) for name in fields if getattr(new, name) != getattr(old, name)}
    client.update_model(new.model_id, **changed)


def _difference(old: Model | None, new: Model) -> str:
    parts = []
    shows: tuple[tuple[str, Callable[[Model], str]], ...] = (
        ("price", lambda model: _price(model.price)),
        ("window", lambda model: f"{model.context_window_tokens or 'unknown'}"),
    )
    for name, show in shows:
        after = show(new)
        if old is None:
            parts.append(f"{name} {after}")
        elif (before := show(old)) != after:
            parts.append(f"{name} {before} -> {after}")
    before_tags = set() if old is None else set(old.tags)
    tags = [f"+{tag}" for tag in new.tags if tag not in before_tags]
    tags += [f"-{tag}" for tag in sorted(before_tags - set(new.tags))]
    if tags:
        parts.append("tags " + " ".join(tags))
    return f"{'+' if old is None else '~'} {new.model_id}: {', '.join(parts)}"


def _price(price: Price | None) -> str:
    """Return a price as USD per million input and output tokens, and what else it has."""
    if price is None:
        return "unknown"
    text = f"{price.input_mtok_usd!r}/{price.output_mtok_usd!r}"
    if price.cached_input_mtok_usd is not None:
        text += f" cached {price.cached_input_mtok_usd!r}"
    return text + (f" + {price.request_usd!r} a call" if price.request_usd else "")
