"""The catalogue: an immutable table whose slots are never used again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banditd.catalog.eligibility import exclusion_of, exclusions_of, money_matters
from banditd.catalog.models import Catalog
from banditd.domain.decision import NO_LIMITS, Exclusion, Limits, Objective
from banditd.domain.model import ModelSpec


def grown(*names):
    """Return a catalogue with models of these names."""
    catalog = Catalog()
    for name in names:
        catalog = catalog.with_model(ModelSpec(len(catalog.names), name))
    return catalog


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=40))
def test_slots_are_never_used_again(changes):
    """Whatever comes and goes: names by slot only grow, and each model is found by name and by slot."""
    catalog, past = Catalog(), []
    for name, wanted in changes:
        before = catalog.names
        if wanted and catalog.get(name) is None:
            catalog = catalog.with_model(ModelSpec(len(catalog.names), name))
            past.append(name)
        elif not wanted:
            catalog = catalog.without_model(name)
        assert catalog.names[: len(before)] == before
    assert list(catalog.names) == past
    assert [model.slot for model in catalog] == sorted(model.slot for model in catalog)
    for model in catalog:
        assert catalog.get(model.model_id) is model
        assert catalog.by_slot[model.slot] is model
        assert catalog.names[model.slot] == model.model_id


def test_a_changed_model_keeps_its_place():
    """Order of creation is the order of indices."""
    catalog = grown("a", "b", "c")
    changed = catalog.with_model(ModelSpec(1, "b", enabled=False))
    assert [m.model_id for m in changed] == ["a", "b", "c"]
    assert not changed.get("b").enabled
    assert catalog.get("b").enabled, "the old table is as it was"


def test_a_wrong_slot_is_a_bug():
    """An assertion, not an answer."""
    with pytest.raises(AssertionError):
        grown("a").with_model(ModelSpec(7, "b"))


MODEL = ModelSpec(0, "m", tags=("eu", "json"), context_window_tokens=1000)


@pytest.mark.parametrize(
    "model, limits, tokens, expected",
    [
        (MODEL, NO_LIMITS, -1, Exclusion.ELIGIBLE),
        (MODEL, NO_LIMITS, 1000, Exclusion.ELIGIBLE),
        (MODEL, NO_LIMITS, 1001, Exclusion.CONTEXT_WINDOW),
        (ModelSpec(0, "m"), NO_LIMITS, 10**8, Exclusion.ELIGIBLE),
        (MODEL, Limits(required_tags=("eu",)), 0, Exclusion.ELIGIBLE),
        (MODEL, Limits(required_tags=("eu", "us")), 0, Exclusion.TAG_MISSING),
        (MODEL, Limits(required_tags=("EU",)), 0, Exclusion.TAG_MISSING),
        (ModelSpec(0, "m", enabled=False), Limits(required_tags=("eu",)), 0, Exclusion.DISABLED),
    ],
)
def test_who_is_eligible(model, limits, tokens, expected):
    """The first reason that applies is the one that is told; an unknown length fits every window."""
    assert exclusion_of(model, limits=limits, input_tokens=tokens) is expected
    codes = exclusions_of((model, MODEL), limits=limits, input_tokens=tokens)
    assert codes.dtype.name == "uint8"
    assert codes[0] == expected


@pytest.mark.parametrize(
    "objective, limits, expected",
    [
        (Objective(), NO_LIMITS, False),
        (Objective(second_weight=9.0), Limits(latency_ms_max=1.0), False),
        (Objective(usd_weight=1e-9), NO_LIMITS, True),
        (Objective(), Limits(cost_usd_max=0.0), True),
    ],
)
def test_when_money_matters(objective, limits, expected):
    """A limit of zero is a limit."""
    assert money_matters(objective, limits) is expected
