"""Encodings: what is logged decodes to the same numbers, and every way to a row gives the same row."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from banditd.domain.context import Context
from banditd.errors import DataLossError
from banditd.features import fit
from banditd.features.encode import encode, encode_rows, length_feature
from banditd.features.fit import PROJECTED_MAX, ROW_NORM_MAX, fit_spec, intercept_spec, seed_of, seeded_spec
from banditd.features.spec import INTERCEPT, LENGTH, FeatureKind, decode_spec, encode_spec

LEARNING = [FeatureKind.LINEAR, FeatureKind.FOURIER]
DIMENSIONS = [2, 3, 64, 65, 384]
finite16 = st.floats(-65504, 65504, width=16)


def prompts(count, dimension, seed=0):
    """Return embeddings with a few strong directions."""
    rng = np.random.default_rng(seed)
    rank = min(8, dimension)
    x = rng.normal(size=(count, rank)) * np.arange(rank, 0, -1) @ rng.normal(size=(rank, dimension))
    return (x + 0.1 * rng.normal(size=(count, dimension)) + 3.0).astype(np.float16)


def contexts_of(embeddings):
    """Return prompts of which nothing else is known."""
    return [Context(embedding) for embedding in embeddings]


@pytest.mark.parametrize("kind", list(FeatureKind), ids=lambda kind: kind.name)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_a_spec_survives_its_bytes(kind, dimension):
    """What a replay decodes encodes every prompt as the live server did."""
    specs = [seeded_spec(kind, dimension, 7)]
    if kind is not FeatureKind.INTERCEPT_ONLY:
        specs.append(fit_spec(kind, prompts(300, dimension), 7))
    for spec in specs:
        again = decode_spec(encode_spec(spec))
        assert encode_spec(again) == encode_spec(spec)
        assert again.fingerprint == spec.fingerprint
        assert (again.kind, again.row_width, again.input_dimension) == (kind, spec.row_width, dimension)
        x = prompts(3, dimension, seed=1)
        for row in x:
            assert encode(again, Context(row, 100)).tobytes() == encode(spec, Context(row, 100)).tobytes()


def test_other_encodings_have_other_fingerprints():
    """Equal fingerprints mean equal encodings."""
    specs = [seeded_spec(kind, d, seed) for kind in FeatureKind for d in (3, 4) for seed in (1, 2)]
    assert (
        len({spec.fingerprint for spec in specs}) == len({encode_spec(spec) for spec in specs}) == 12
    )  # what looks at nothing yet has no seed


@pytest.mark.parametrize("position", [0, 4, 5, 6, 8, 10])
def test_a_damaged_head_is_refused(position):
    """Another format, kind or shape than the bytes have is damage, not a shape error later on."""
    raw = bytearray(encode_spec(seeded_spec(FeatureKind.FOURIER, 8, 1)))
    raw[position] ^= 64
    with pytest.raises(DataLossError):
        decode_spec(bytes(raw))


@given(st.binary(max_size=100), st.integers(0, 200))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_refused_or_decoded(raw, length):
    """Garbage and cut specs are DataLossError and nothing else."""
    whole = encode_spec(seeded_spec(FeatureKind.LINEAR, 4, 1))
    for damaged in (raw, whole[: min(length, len(whole) - 1)], whole + raw[:1] if raw else b""):
        with pytest.raises(DataLossError):
            decode_spec(damaged)


@pytest.mark.parametrize("kind", list(FeatureKind), ids=lambda kind: kind.name)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_one_prompt_or_many_give_the_same_row(kind, dimension):
    """Route and RouteBatch see the same row, bit for bit, whatever the size of the batch."""
    spec = seeded_spec(kind, dimension, 3)
    for count in (1, 2, 3, 5, 17):
        x = prompts(count, dimension, seed=count)
        contexts = [Context(x[i], (-1, 0, 350, 10**8)[i % 4]) for i in range(count)]
        rows = encode_rows(spec, contexts)
        assert rows.shape == (count, spec.row_width)
        for i in range(count):
            assert rows[i].tobytes() == encode(spec, contexts[i]).tobytes()


@given(npst.arrays(np.float16, 6, elements=finite16), st.integers(-1, 10**9), st.sampled_from(LEARNING))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_row_is_finite_and_bounded(embedding, tokens, kind):
    """No prompt, however far out, gets a row that is not finite, or more weight than its share."""
    for spec in (SEEDED[kind], FITTED[kind]):
        row = encode(spec, Context(embedding, tokens))
        assert row.dtype == np.float32
        assert np.isfinite(row).all()
        assert row[INTERCEPT] == 1.0
        assert row[LENGTH] == np.float32(length_feature(tokens))
        body = row[2 : 2 + spec.projected_dimension]
        assert np.linalg.norm(body.astype(np.float64)) <= ROW_NORM_MAX * (1 + 1e-5)


SEEDED = {kind: seeded_spec(kind, 6, 1) for kind in LEARNING}
FITTED = {kind: fit_spec(kind, prompts(300, 6), 1) for kind in LEARNING}


@pytest.mark.parametrize("tokens, feature", [(-1, 0.0), (399, 0.0), (0, -math.log(400) / 3)])
def test_length(tokens, feature):
    """An unknown length says nothing; a typical one is zero; more is more."""
    assert length_feature(tokens) == pytest.approx(feature, abs=1e-12)
    assert length_feature(10**6) > length_feature(10**3) > length_feature(10)


def test_the_intercept_needs_no_prompt():
    """The context-free row is the same for every prompt and reads none of it."""
    spec = intercept_spec(5)
    assert encode(spec, Context(np.full(5, np.nan, np.float16))).tolist() == [1.0]
    assert encode_rows(spec, contexts_of(np.zeros((3, 5), np.float16))).tolist() == [[1.0]] * 3


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_a_seeded_start_keeps_lengths_on_average(dimension):
    """Random orthogonal directions, scaled so that a prompt of length one has a row of about that length."""
    spec = seeded_spec(FeatureKind.LINEAR, dimension, seed_of("router"))
    width = min(PROJECTED_MAX, dimension)
    assert spec.basis.shape == (dimension, width)
    gram = spec.basis.T @ spec.basis * (width / dimension)
    np.testing.assert_allclose(gram, np.eye(width), atol=1e-5)


def test_a_seed_is_a_function_of_the_name():
    """Routers of one name start equal everywhere, and others otherwise."""
    assert seed_of("default") == seed_of("default") != seed_of("default2")
    one, same = (seeded_spec(FeatureKind.FOURIER, 8, seed_of("a")) for _ in range(2))
    assert one.fingerprint == same.fingerprint


@pytest.mark.parametrize("dimension", [3, 65, 100])
def test_a_fit_finds_the_principal_components(dimension):
    """The projection spans what a full decomposition finds: against NumPy's eigenvectors of the covariance."""
    x = prompts(500, dimension)
    spec = fit_spec(FeatureKind.LINEAR, x, 1)
    centred = x.astype(np.float64) - x.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(spec.centre, x.astype(np.float64).mean(axis=0), rtol=1e-4, atol=1e-4)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    strong = vectors[:, np.argsort(values)[::-1][: min(8, dimension)]]
    basis = np.linalg.qr(spec.basis.astype(np.float64))[0]
    # Each strong direction lies within the span of the fitted ones.
    np.testing.assert_allclose(np.linalg.norm(basis.T @ strong, axis=0), 1.0, atol=1e-3)
    rows = encode_rows(spec, contexts_of(x))[:, 2:]
    assert np.mean(np.sum(rows.astype(np.float64) ** 2, axis=1)) == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("kind", [FeatureKind.LINEAR, FeatureKind.FOURIER], ids=lambda kind: kind.name)
def test_an_encoding_that_is_as_good_stays(kind):
    """One that holds all there is, or nearly what more prompts of the same mix would have it hold."""
    for dimension, count in ((20, 300), (120, 600)):
        x = prompts(4 * count, dimension)
        first = fit_spec(kind, x[:count], 1, seeded_spec(kind, dimension, 1))
        assert fit_spec(kind, x, 1, first) is first
        assert fit_spec(kind, x, 1).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    "others",
    [
        lambda x: x + np.float16(8.0),
        lambda x: (x - 3.0) * 1.1 + 3.0,
        lambda x: (x - 3.0) * 0.9 + 3.0,
        lambda x: np.random.default_rng(5).normal(size=x.shape) + 3.0,
    ],
    ids=["elsewhere", "longer", "shorter", "other directions"],
)
def test_an_encoding_that_other_prompts_have_outdated_is_replaced(others):
    """Prompts that moved, or differ by more, by less or otherwise than those it was fitted on."""
    x = prompts(400, 120)
    first = fit_spec(FeatureKind.LINEAR, x, 1)
    later = others(x.astype(np.float64)).astype(np.float16)
    again = fit_spec(FeatureKind.LINEAR, later, 1, first)
    assert again is not first
    assert again.fingerprint == fit_spec(FeatureKind.LINEAR, later, 1).fingerprint


def test_an_encoding_of_another_kind_is_replaced():
    """Whatever it holds."""
    x = prompts(300, 6)
    fits = {kind: fit_spec(kind, x, 1) for kind in LEARNING}
    for kind in LEARNING:
        for previous in fits.values():
            assert fit_spec(kind, x, 1, previous).kind is kind


def test_a_start_and_a_fit_on_too_few_are_replaced():
    """The start stands for nothing that was seen, whatever it holds; few prompts show few directions."""
    x = np.random.default_rng(2).normal(size=(2000, 150)).astype(np.float16)
    few = fit_spec(FeatureKind.LINEAR, x[:256], 1)
    assert fit_spec(FeatureKind.LINEAR, x, 1, few) is not few
    small = prompts(300, 6) - np.float16(3.0)
    start = seeded_spec(FeatureKind.LINEAR, 6, 1)
    assert fit_spec(FeatureKind.LINEAR, small, 1, start) is not start


@pytest.mark.parametrize("kind", LEARNING, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "embeddings",
    [
        np.zeros((10, 5)),
        np.ones((10, 5)) * 65504,
        np.full((10, 5), 6e-8),
        np.eye(5)[np.arange(10) % 5] * 65504,
        np.eye(5)[np.arange(10) % 5] * 6e-8,
        np.outer(np.arange(10), np.ones(5)),
        np.concatenate([np.zeros((9, 5)), np.ones((1, 5))]),
        np.zeros((2, 2)),
    ],
    ids=["zeros", "largest", "smallest", "corners", "tiny corners", "a line", "one other", "two"],
)
def test_degenerate_prompts_can_be_fitted(kind, embeddings):
    """Whatever was logged, a fit gives an encoding with finite rows: a fit that raised would stop the writer."""
    x = embeddings.astype(np.float16)
    spec = fit_spec(kind, x, 1)
    assert np.isfinite(encode_rows(spec, contexts_of(x))).all()
    assert np.isfinite(encode_rows(spec, contexts_of(np.full((1, x.shape[1]), 65504, np.float16)))).all()


def test_a_fit_is_repeatable():
    """The same prompts and seed give the same bytes, though only the result is ever replayed."""
    one, two = (encode_spec(fit_spec(FeatureKind.FOURIER, prompts(300, 20), 5)) for _ in range(2))
    assert one == two


def named(count, *names):
    """Return the categories of prompts, names in turn, and none of the last."""
    return [[*names, ""][i % (len(names) + 1)] for i in range(count)]


@pytest.mark.parametrize("kind", LEARNING, ids=lambda kind: kind.name)
def test_categories_have_columns_of_their_own(kind):
    """The last ones, centred: what a category's prompts have, others have not, and none have on average."""
    x, categories = prompts(300, 6), named(300, "law", "code")
    spec = fit_spec(kind, x, 1, categories=categories)
    assert spec.categories == ("code", "law")
    assert spec.row_width == fit_spec(kind, x, 1).row_width + 2
    without = fit_spec(kind, x, 1)
    for name, last in {"code": [2, -1], "law": [-1, 2], "": [-1, -1], "unknown": [-1, -1]}.items():
        contexts = [Context(embedding, i, name) for i, embedding in enumerate(x[:3])]
        for context, row in zip(contexts, encode_rows(spec, contexts), strict=True):
            assert row.tobytes() == encode(spec, context).tobytes()
            assert row[:-2].tobytes() == encode(without, context).tobytes()
            np.testing.assert_allclose(3.0 * row[-2:], last, atol=1e-6)


def test_which_categories_have_columns(monkeypatch):
    """Those of enough prompts, of most first; none that all prompts have, and no more than there is room for."""
    x = prompts(300, 6)
    for rare, found in ((7, ("a",)), (8, ("a", "b"))):
        categories = named(300 - rare, "a") + ["b"] * rare
        assert fit_spec(FeatureKind.LINEAR, x, 1, categories=categories).categories == found
    for others, found in ((0, ()), (7, ()), (8, ("a",))):
        categories = ["a"] * (300 - others) + [""] * others
        assert fit_spec(FeatureKind.LINEAR, x, 1, categories=categories).categories == found
    assert fit_spec(FeatureKind.CLUSTERS, x, 1, categories=named(300, "a")).categories == ()
    monkeypatch.setattr(fit, "CATEGORIES_MAX", 2)
    mostly = named(250, "d", "b") + ["c"] * 50
    assert fit_spec(FeatureKind.LINEAR, x, 1, categories=mostly).categories == ("b", "d")


def test_an_encoding_stays_while_its_categories_do():
    """One more, or another mix, is another encoding; one that is hardly seen any more is none."""
    x = prompts(300, 6)
    first = fit_spec(FeatureKind.LINEAR, x, 1, categories=named(300, "a", "b"))
    few = [*named(270, "a", "b"), *["c"] * 30]
    for categories in (named(300, "b", "a"), ["a", "b", "a", "b", ""] * 60, ["a", "b", "", "", "b"] * 60, few):
        assert fit_spec(FeatureKind.LINEAR, x, 1, first, categories) is first
    for categories in (named(300, "a", "b", "c"), ["a"] * 200 + ["b"] * 100):
        assert fit_spec(FeatureKind.LINEAR, x, 1, first, categories) is not first
    assert fit_spec(FeatureKind.LINEAR, x, 1, first).categories == ()
    with_few = fit_spec(FeatureKind.LINEAR, x, 1, categories=few)
    assert with_few.categories == ("a", "b", "c")
    assert fit_spec(FeatureKind.LINEAR, x, 1, with_few, named(300, "a", "b")) is with_few
    plain = fit_spec(FeatureKind.LINEAR, x, 1)
    assert fit_spec(FeatureKind.LINEAR, x, 1, plain) is plain
    assert fit_spec(FeatureKind.LINEAR, x, 1, plain, named(300, "a")) is not plain


@pytest.mark.parametrize("kind", LEARNING, ids=lambda kind: kind.name)
def test_categories_survive_the_bytes(kind):
    """Whatever they are called; what is cut or altered is refused."""
    spec = fit_spec(kind, prompts(300, 6), 1, categories=named(300, "Übung", 'a"b\n'))
    raw = encode_spec(spec)
    again = decode_spec(raw)
    assert (again.categories, again.shares.tobytes()) == (spec.categories, spec.shares.tobytes())
    assert encode_spec(again) == raw
    assert again.fingerprint != fit_spec(kind, prompts(300, 6), 1).fingerprint
    size = raw.index(b'[["')
    for damaged in (raw[:size], raw[: size + 5], raw[:size] + b"[1]", raw[:size] + b'{"a": 1}', raw[:size] + b"\xff"):
        with pytest.raises(DataLossError):
            decode_spec(damaged)


@pytest.mark.parametrize(
    "pairs",
    [
        "[]",
        "[[1, 0.5]]",
        '[["", 0.5]]',
        '[["a", NaN]]',
        '[["a", 1e400]]',
        '[["a", 1.0]]',
        '[["a", 0.0]]',
        '[["a", 0.5], ["a", 0.25]]',
        '["a1"]',
        "[" * 100_000,
        '[["a", ' + "9" * 400 + "]]",
    ],
    ids=lambda pairs: pairs[:24],
)
def test_categories_that_cannot_be_are_refused(pairs):
    """A row that one of these made would not be finite, or tell no two categories apart."""
    raw = encode_spec(fit_spec(FeatureKind.LINEAR, prompts(300, 6), 1, categories=named(300, "a")))
    size = raw.index(b'[["')
    assert decode_spec(raw[:size] + b'[["a",0.5]]').categories == ("a",)
    with pytest.raises(DataLossError):
        decode_spec(raw[:size] + pairs.encode())
    clusters = bytearray(raw)
    clusters[5:6] = bytes([FeatureKind.CLUSTERS])
    with pytest.raises(DataLossError):
        decode_spec(bytes(clusters))
