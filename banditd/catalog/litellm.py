"""Reads what LiteLLM knows of models: its price table, and the model list of a proxy's configuration.

Pure: decoded JSON or YAML goes in, models come out. Only what is wanted is looked at, so that a bad entry elsewhere in
a table of thousands harms nobody.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from banditd.domain.model import MODEL_ID_PATTERN, Price
from banditd.errors import InvalidArgumentError, Reason

# Tags that an import makes; those of other kinds are the operator's own.
TAG_PREFIXES: Final = ("provider:", "mode:", "supports:")
# Modes whose models answer prompts. An entry without a mode is taken for one of them, as LiteLLM does.
_MODES: Final = frozenset({"chat", "completion", "responses"})
# An entry of the price table that explains the others.
_SAMPLE: Final = "sample_spec"
_MODEL_ID = re.compile(MODEL_ID_PATTERN)
_SUPPORTS: Final = "supports_"
_TOKEN_USD_MAX: Final = 1
_REQUEST_USD_MAX: Final = 1_000_000
_WINDOW_TOKENS_MAX: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Listing:
    """What LiteLLM says of a model.

    Attributes:
        model_id: Its name.
        price: What it charges; None means unknown.
        context_window_tokens: Largest prompt; 0 means unknown.
        tags: Provider, mode and capabilities, each with its prefix, in order.
    """

    model_id: str
    price: Price | None = None
    context_window_tokens: int = 0
    tags: tuple[str, ...] = ()


@dataclass
class Reading:
    """What was read.

    Attributes:
        listings: The models, in the file's order.
        skipped: How many entries were passed over, by the reason.
    """

    listings: list[Listing] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, why: str) -> None:
        """Count an entry that is passed over."""
        self.skipped[why] = self.skipped.get(why, 0) + 1


def is_config(tree: object) -> bool:
    """Return whether a decoded file is a proxy's configuration rather than a price table."""
    return isinstance(tree, Mapping) and "model_list" in tree


def read_prices(tree: object, wanted: Callable[[str], bool]) -> Reading:
    """Return the models of a price table, `model_prices_and_context_window.json`.

    Args:
        tree: The decoded file: model names to entries.
        wanted: Whether a name is asked for.

    Raises:
        InvalidArgumentError: A wanted entry is wrong; the message names it.
    """
    reading = Reading()
    for name, entry in _mapping(tree, "the file", "a mapping of model names to entries").items():
        if not isinstance(name, str) or name == _SAMPLE or not wanted(name):
            continue
        values = _mapping(entry, name, "a mapping")
        if why := _unusable(name, values):
            reading.skip(why)
        else:
            reading.listings.append(_listing(name, values, name))
    return reading


def read_config(tree: object, wanted: Callable[[str], bool], prices: object = None) -> Reading:
    """Return the models of a proxy's configuration.

    What an entry's `litellm_params` say wins over its `model_info`, and that over the price table's entry of its
    `base_model` or `model`. A name that several deployments share is what holds for all of them: the dearest of each
    price, the smallest window, the tags that they have in common.

    Args:
        tree: The decoded file.
        wanted: Whether a name is asked for.
        prices: A decoded price table; None for none.

    Raises:
        InvalidArgumentError: A wanted entry is wrong; the message names it.
    """
    reading = Reading()
    table = {} if prices is None else _mapping(prices, "the price table", "a mapping of model names to entries")
    entries = _mapping(tree, "the file", "a mapping").get("model_list")
    if not isinstance(entries, list):
        raise _wrong("model_list", "a list", _kind(entries))
    groups: dict[str, list[Listing]] = {}
    for i, entry in enumerate(entries):
        where = f"model_list[{i}]"
        values = _mapping(entry, where, "a mapping with model_name and litellm_params")
        name = values.get("model_name")
        if not isinstance(name, str):
            raise _wrong(f"{where}.model_name", "a name", _kind(name))
        if not wanted(name):
            continue
        where = f"{where} ({name})" if _MODEL_ID.fullmatch(name) else where
        params = _mapping(values.get("litellm_params"), f"{where}.litellm_params", "a mapping")
        served = params.get("model")
        if not isinstance(served, str):
            raise _wrong(f"{where}.litellm_params.model", "a name", _kind(served))
        info = _mapping(values.get("model_info") or {}, f"{where}.model_info", "a mapping")
        provider = {"litellm_provider": served.split("/", 1)[0]} if "/" in served else {}
        merged = _said(_of_table(table, info.get("base_model"), served)) | provider | _said(info) | _said(params)
        if why := _unusable(name, merged):
            reading.skip(why)
        else:
            groups.setdefault(name, []).append(_listing(name, merged, where))
    reading.listings = [_common(listings) for listings in groups.values()]
    return reading


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in an entry; `custom_llm_provider` is the provider's other name."""
    said = {key: value for key, value in values.items() if isinstance(key, str) and value is not None}
    if "custom_llm_provider" in said:
        said["litellm_provider"] = said["custom_llm_provider"]
    return said


def _of_table(table: Mapping[Any, Any], *names: object) -> Mapping[str, Any]:
    """Return the table's entry of the first of *names* that has one, with its provider in front or without."""
    for name in names:
        if isinstance(name, str):
            for key in (name, name.partition("/")[2]):
                if isinstance(entry := table.get(key), Mapping):
                    return entry
    return {}


def _unusable(name: str, values: Mapping[str, Any]) -> str:
    """Return why an entry is no model for banditd; empty if it is one."""
    if "*" in name:
        return "a pattern, no model"
    if _MODEL_ID.fullmatch(name) is None:
        return "a name that banditd does not take"
    mode = values.get("mode")
    return f"mode {mode}" if isinstance(mode, str) and mode not in _MODES else ""


def _listing(name: str, values: Mapping[str, Any], where: str) -> Listing:
    sent = _number(values, "input_cost_per_token", where, _TOKEN_USD_MAX)
    written = _number(values, "output_cost_per_token", where, _TOKEN_USD_MAX)
    cached = _number(values, "cache_read_input_token_cost", where, _TOKEN_USD_MAX)
    fee = _number(values, "input_cost_per_request", where, _REQUEST_USD_MAX)
    window = _number(values, "max_input_tokens", where, _WINDOW_TOKENS_MAX)
    price = None
    # Half a price is none: what it does not say would count as nothing.
    if sent is not None and written is not None:
        price = Price(
            _mtok_usd(sent), _mtok_usd(written), None if cached is None else _mtok_usd(cached), float(fee or 0)
        )
    tags = {f"{_SUPPORTS[:-1]}:{key.removeprefix(_SUPPORTS)}" for key in values if _is_capability(key, values[key])}
    for prefix, key in (("provider:", "litellm_provider"), ("mode:", "mode")):
        if isinstance(text := values.get(key), str) and text:
            tags.add(prefix + text)
    return Listing(name, price, math.floor(window or 0), tuple(sorted(tags)))


def _is_capability(key: object, value: object) -> bool:
    return isinstance(key, str) and key.startswith(_SUPPORTS) and value is True


def _mtok_usd(token_usd: Decimal) -> float:
    return float(token_usd * 1_000_000)


def _number(values: Mapping[str, Any], key: str, where: str, high: int) -> Decimal | None:
    """Return a number, exact as it is written; None if there is none.

    A string may hold one: YAML takes 1e-06 for a string.
    """
    value = values.get(key)
    if value is None:
        return None
    expected = f"a number in 0..{high}"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _wrong(f"{where}.{key}", expected, _kind(value))
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _wrong(f"{where}.{key}", expected, "a string that is none") from None
    if not (number.is_finite() and 0 <= number <= high):
        raise _wrong(f"{where}.{key}", expected, f"{number}")
    return number


def _common(listings: list[Listing]) -> Listing:
    """Return what holds for all deployments of one name."""
    windows = [listing.context_window_tokens for listing in listings if listing.context_window_tokens]
    tags = set(listings[0].tags).intersection(*(listing.tags for listing in listings))
    return Listing(
        listings[0].model_id, _dearest([x.price for x in listings]), min(windows, default=0), tuple(sorted(tags))
    )


def _dearest(prices: list[Price | None]) -> Price | None:
    """Return the dearest of each part; None where one of the prices is unknown."""
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    cached = [price.cached_input_mtok_usd for price in known if price.cached_input_mtok_usd is not None]
    return Price(
        max(price.input_mtok_usd for price in known),
        max(price.output_mtok_usd for price in known),
        max(cached) if len(cached) == len(known) else None,
        max(price.request_usd for price in known),
    )


def _mapping(value: object, where: str, expected: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(where, expected, _kind(value))
    return value


def _kind(value: object) -> str:
    """Return what a value is, never the value: a configuration holds keys."""
    names = {dict: "a mapping", list: "a list", str: "a string", bool: "a truth value", type(None): "nothing"}
    return names.get(type(value), f"a value of type {type(value).__name__}")


def _wrong(where: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.CONFIG, where, expected, got)
