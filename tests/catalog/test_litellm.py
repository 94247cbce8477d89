"""What LiteLLM's files say of models, read as it is meant."""

import json
from pathlib import Path

import pytest
import yaml

from banditd.catalog.litellm import Listing, is_config, read_config, read_prices
from banditd.domain.model import Price
from banditd.errors import InvalidArgumentError

FILES = Path(__file__).resolve().parents[1] / "golden" / "litellm"
PRICES = json.loads((FILES / "prices.json").read_text())
CONFIG = yaml.safe_load((FILES / "config.yaml").read_text())


SHARE = "expected a number in 0..1"


def everything(_):
    """Want every model."""
    return True


def but_broken(name):
    """Want every model but the one whose price is no number."""
    return name != "broken-price"


def test_a_price_table_is_read():
    """Prices to the last bit as written, per million; what answers no prompt is passed over with its reason."""
    reading = read_prices(PRICES, but_broken)
    assert reading.listings == [
        Listing(
            "acme-large",
            Price(2.5, 10.0, 1.25),
            128_000,
            ("mode:chat", "provider:acme", "supports:function_calling", "supports:vision"),
        ),
        Listing("acme-small", Price(0.15, 0.6), 128_000, ("mode:chat", "provider:acme", "supports:function_calling")),
        Listing("seeker/online-7b", Price(0.0, 0.28, None, 0.005), 0, ("mode:chat", "provider:seeker")),
        Listing("acme-by-the-second", None, 0, ("mode:completion", "provider:acme")),
    ]
    assert reading.skipped == {
        "mode embedding": 1,
        "a pattern, no model": 1,
        "a name that banditd does not take": 1,
    }


def test_a_configuration_is_read():
    """Parameters win over the model's info; deployments of one name give what holds for all of them."""
    reading = read_config(CONFIG, everything)
    assert reading.listings == [
        Listing("large", None, 0, ("provider:acme",)),
        Listing("tuned", Price(1.0, 4.0), 32_000, ("mode:chat", "provider:azure", "supports:vision")),
        Listing("shared", Price(1.0, 3.0, None, 0.001), 32_000, ("supports:vision",)),
        Listing("by-base", None, 0, ("provider:azure",)),
    ]
    assert reading.skipped == {"mode embedding": 1, "a pattern, no model": 1}


def test_a_price_table_tells_what_a_configuration_omits():
    """By the base model or the model, with its provider in front or without."""
    listings = {listing.model_id: listing for listing in read_config(CONFIG, everything, PRICES).listings}
    assert listings["large"].price == Price(2.5, 10.0, 1.25)
    assert listings["large"].context_window_tokens == 128_000
    assert "supports:vision" in listings["large"].tags
    assert listings["by-base"].price == Price(0.15, 0.6)
    assert listings["tuned"].price == Price(1.0, 4.0), "what the configuration says wins"


def test_one_deployment_without_a_price_leaves_the_name_without():
    """What it would cost is unknown."""
    entries = [
        {"model_name": "m", "litellm_params": {"model": "a", "input_cost_per_token": 0, "output_cost_per_token": 0}},
        {"model_name": "m", "litellm_params": {"model": "b"}},
    ]
    assert read_config({"model_list": entries[:1]}, everything).listings[0].price == Price(0.0, 0.0)
    assert read_config({"model_list": entries}, everything).listings == [Listing("m")]


def test_half_a_price_is_none():
    """What it does not say would count as nothing."""
    assert read_prices({"m": {"input_cost_per_token": 1e-6}}, everything).listings == [Listing("m")]


@pytest.mark.parametrize(
    "tree, message",
    [
        ({"m": {"input_cost_per_token": "sk"}}, f"m.input_cost_per_token: {SHARE}, got a string that is none"),
        ({"m": {"output_cost_per_token": -1e-6}}, f"m.output_cost_per_token: {SHARE}, got -0.000001"),
        ({"m": {"output_cost_per_token": float("nan")}}, f"m.output_cost_per_token: {SHARE}, got NaN"),
        ({"m": {"cache_read_input_token_cost": True}}, f"m.cache_read_input_token_cost: {SHARE}, got a truth value"),
        ({"m": {"input_cost_per_request": 1e7}}, f"m.input_cost_per_request: {SHARE}000000, got 10000000.0"),
        ({"m": {"max_input_tokens": [1]}}, f"m.max_input_tokens: {SHARE}00000000, got a list"),
        ({"m": ["sk-secret"]}, "m: expected a mapping, got a list"),
        (["sk-secret"], "the file: expected a mapping of model names to entries, got a list"),
        ("sk-secret", "the file: expected a mapping of model names to entries, got a string"),
    ],
)  # fmt: skip
def test_a_bad_price_table_is_refused_with_the_entry(tree, message):
    """And with what is wrong there."""
    with pytest.raises(InvalidArgumentError) as caught:
        read_prices(tree, everything)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "entries, message",
    [
        (None, "model_list: expected a list, got nothing"),
        ({"a": 1}, "model_list: expected a list, got a mapping"),
        (["sk-secret"], "model_list[0]: expected a mapping with model_name and litellm_params, got a string"),
        ([{"litellm_params": {}}], "model_list[0].model_name: expected a name, got nothing"),
        ([{"model_name": "m"}], "model_list[0] (m).litellm_params: expected a mapping, got nothing"),
        ([{"model_name": "m", "litellm_params": {"api_key": "sk"}}],
         "model_list[0] (m).litellm_params.model: expected a name, got nothing"),
        ([{"model_name": "m", "litellm_params": {"model": "x"}, "model_info": "sk"}],
         "model_list[0] (m).model_info: expected a mapping, got a string"),
        ([{"model_name": "m", "litellm_params": {"model": "x", "input_cost_per_token": "sk-secret"}}],
         "model_list[0] (m).input_cost_per_token: expected a number in 0..1, got a string that is none"),
    ],
)  # fmt: skip
def test_a_bad_configuration_is_refused_with_the_entry(entries, message):
    """Never with a value: a configuration holds keys."""
    with pytest.raises(InvalidArgumentError) as caught:
        read_config({"model_list": entries}, everything)
    assert caught.value.message == message


def test_what_is_not_wanted_harms_nobody():
    """A bad entry is refused only where it is asked for."""
    assert read_prices(PRICES, but_broken).listings
    with pytest.raises(InvalidArgumentError):
        read_prices(PRICES, everything)


def test_a_configuration_is_told_from_a_price_table():
    """By its list of models."""
    assert is_config(CONFIG)
    assert not is_config(PRICES)
    assert not is_config(["model_list"])
