"""Explorers give distributions, whatever the numbers; draws follow them."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banditd.kernels import (
    COMPILED,
    KERNELS,
    draw,
    greedy,
    inverse_gap,
    mix_floor,
    probability_best,
    softmax,
    ucb,
    widen_unknown,
)

EXPLORERS = {
    "greedy": greedy,
    "ucb": lambda u, eligible, out: ucb(u, np.abs(u), eligible, 0.3, out),
    "softmax": lambda u, eligible, out: softmax(u, eligible, 0.1, out),
    "softmax_hot": lambda u, eligible, out: softmax(u, eligible, 1e300, out),
    "softmax_cold": lambda u, eligible, out: softmax(u, eligible, 1e-300, out),
    "inverse_gap": lambda u, eligible, out: inverse_gap(u, eligible, 100.0, out),
    "inverse_gap_huge": lambda u, eligible, out: inverse_gap(u, eligible, 1e300, out),
    "thompson": lambda u, eligible, out: probability_best(u, np.abs(u[::-1]).copy(), eligible, out),
}
EXAMPLES = settings(max_examples=100 if COMPILED else 10, deadline=None)

wild = st.one_of(
    st.floats(-1.0, 1.0),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 1e300, -1e300, 1.7e308, -1.7e308, 1e-300, 5e-324]),
)


@st.composite
def _problems(draw_from):
    size = draw_from(st.integers(1, 12))
    u = np.array(draw_from(st.lists(wild, min_size=size, max_size=size)))
    eligible = np.array(draw_from(st.lists(st.booleans(), min_size=size, max_size=size)))
    eligible[draw_from(st.integers(0, size - 1))] = True
    return u, eligible


def _pmf(name, u, eligible):
    out = np.full(len(u), 7.0)
    EXPLORERS[name](np.asarray(u, float), np.asarray(eligible), out)
    return out


def test_every_explorer_is_tried():
    """A new explorer enters these tests by name."""
    explorers = {
        name
        for name, k in KERNELS.items()
        if "out_pmf" in inspect.signature(k.python).parameters and k.module not in ("choice", "rounds")
    }
    assert explorers == {name.split("_h")[0].split("_c")[0] for name in EXPLORERS} - {"thompson"} | {"probability_best"}


@pytest.mark.parametrize("name", EXPLORERS)
@EXAMPLES
@given(problem=_problems())
def test_an_explorer_gives_a_distribution(name, problem):
    """Finite, not negative, sums to 1 within 1e-12, exactly 0 where ineligible; for any finite utilities."""
    u, eligible = problem
    pmf = _pmf(name, u, eligible)
    assert np.isfinite(pmf).all()
    assert (pmf >= 0.0).all()
    assert abs(pmf.sum() - 1.0) < 1e-12
    assert (pmf[~eligible] == 0.0).all()


@pytest.mark.parametrize("name", EXPLORERS)
@EXAMPLES
@given(problem=_problems(), seed=st.integers(0, 1000))
def test_the_order_of_models_does_not_matter(name, problem, seed):
    """A permutation of the models permutes the distribution."""
    u, eligible = problem
    if name == "thompson":
        return  # here its spreads are made from the order of the utilities; test_thompson has its own
    order = np.random.default_rng(seed).permutation(len(u))
    np.testing.assert_allclose(
        _pmf(name, u[order], eligible[order]), _pmf(name, u, eligible)[order], rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("name", [name for name in EXPLORERS if name != "thompson"])
@EXAMPLES
@given(problem=_problems(), intruder=st.one_of(wild, st.just(np.nan), st.just(np.inf)))
def test_an_ineligible_model_changes_nothing(name, problem, intruder):
    """Not even by a nan: what is not eligible is not read."""
    u, eligible = problem
    pmf = _pmf(name, u, eligible)
    joined = _pmf(name, np.append(u, intruder), np.append(eligible, False))
    assert joined[:-1].tobytes() == pmf.tobytes()
    assert joined[-1] == 0.0


@pytest.mark.parametrize("name", EXPLORERS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_visible(name, wrong):
    """The caller falls back when it sees nan; a plausible distribution would hide the fault."""
    pmf = _pmf(name, [0.1, wrong, 0.3, 0.4], [True, True, True, False])
    assert np.isnan(pmf[:3]).all()
    assert pmf[3] == 0.0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_a_wrong_parameter_stays_visible(wrong):
    """A temperature or a gamma that means nothing gives nan as well."""
    u, eligible, out = np.array([1.0, 2.0]), np.ones(2, bool), np.empty(2)
    softmax(u, eligible, wrong, out)
    assert np.isnan(out).all()
    inverse_gap(u, eligible, wrong, out)
    assert np.isnan(out).all()
    ucb(u, np.array([1.0, np.inf]), eligible, 1.0, out)
    assert np.isnan(out).all()


@pytest.mark.parametrize("name", EXPLORERS)
def test_nobody_eligible_is_all_zero(name):
    """There is no distribution over nobody, and draw says so."""
    pmf = _pmf(name, [0.1, 0.2], [False, False])
    np.testing.assert_array_equal(pmf, [0.0, 0.0])
    assert draw(pmf, 0.5) == -1


def test_greedy_shares_among_equals():
    """The drawing breaks ties, not the index."""
    np.testing.assert_array_equal(_pmf("greedy", [1, 3, 3, 2, 9], [True] * 4 + [False]), [0, 0.5, 0.5, 0, 0])


def test_ucb_with_nothing_for_width_is_greedy():
    """And with width, the uncertain model wins."""
    u, spread, eligible, out = np.array([0.5, 0.4]), np.array([0.0, 1.0]), np.ones(2, bool), np.empty(2)
    ucb(u, spread, eligible, 0.0, out)
    np.testing.assert_array_equal(out, [1, 0])
    ucb(u, spread, eligible, 0.2, out)
    np.testing.assert_array_equal(out, [0, 1])


def test_the_less_is_known_the_more_is_hoped_for():
    """1,000 outcomes on average: 15 are enough, 10 widen by the root of log(100) / 2, none counts as one."""
    spread, everybody = np.array([0.1, 0.1, 0.1, 0.1]), np.ones(4, bool)
    wide = np.empty(4)
    widen_unknown(spread, np.array([3975.0, 15.0, 10.0, 0.0]), everybody, wide)
    np.testing.assert_allclose(wide, [0.1, 0.1, 0.1 * np.sqrt(np.log(100) / 2), 0.1858461], rtol=1e-6)
    # Who is not eligible neither widens others nor is widened.
    widen_unknown(spread, np.array([1e6, 14.0, 5.0, 0.0]), np.array([False, True, True, False]), wide)
    np.testing.assert_array_equal(wide, spread)
    widen_unknown(spread, np.zeros(4), everybody, wide)
    np.testing.assert_array_equal(wide, spread)


def test_inverse_gap_hand_worked():
    """Gaps 0.1 and 0.3 at gamma 10: 1 / (3 + 1), 1 / (3 + 3), and the best takes the rest."""
    out = np.empty(3)
    inverse_gap(np.array([0.9, 0.8, 0.6]), np.ones(3, bool), 10.0, out)
    np.testing.assert_allclose(out, [1 - 1 / 4 - 1 / 6, 1 / 4, 1 / 6])


def test_inverse_gap_goes_from_uniform_to_greedy():
    """No gap or gamma 0: uniform. Gamma without limit: greedy. In between the best has at least 1 / K."""
    np.testing.assert_allclose(_pmf("inverse_gap", [0.3] * 5, [True] * 5), 0.2, rtol=1e-15)
    u, eligible, out = np.array([0.3, 1.7e308, -1.7e308]), np.ones(3, bool), np.empty(3)
    inverse_gap(u, eligible, 0.0, out)
    np.testing.assert_allclose(out, 1 / 3, rtol=1e-15)
    inverse_gap(u, eligible, 1e300, out)
    np.testing.assert_allclose(out, [0, 1, 0], atol=1e-290)


def test_softmax_is_a_ratio_of_exponentials():
    """One temperature apart means a factor of e; huge and close utilities keep that."""
    for shift in (0.0, 1e6, -1e15):
        pmf = np.empty(2)
        softmax(np.array([shift + 1.0, shift]), np.ones(2, bool), 0.5, pmf)
        assert pmf[0] / pmf[1] == pytest.approx(np.exp(2.0))
    out = np.empty(2)
    softmax(np.array([1.7e308, -1.7e308]), np.ones(2, bool), 1.7e308, out)
    assert out[0] / out[1] == pytest.approx(np.exp(2.0))


@EXAMPLES
@given(problem=_problems(), floor=st.floats(0.0, 1.0))
def test_the_floor_is_kept_to_the_bit(problem, floor):
    """Every eligible model has at least floor / K, so weights are at most K / floor; the rest stays a distribution."""
    u, eligible = problem
    pmf = _pmf("inverse_gap_huge", u, eligible)
    mix_floor(pmf, eligible, floor)
    assert (pmf[eligible] >= floor / eligible.sum()).all()
    assert (pmf[~eligible] == 0.0).all()
    assert abs(pmf.sum() - 1.0) < 1e-12


def test_the_floor_does_not_hide_a_nan():
    """Nor one of an eligible model; that of another is not read."""
    pmf = np.array([np.nan, 0.5, np.nan])
    mix_floor(pmf, np.array([True, True, False]), 0.1)
    assert np.isnan(pmf[0])
    assert pmf[2] == 0.0


@EXAMPLES
@given(problem=_problems(), u=st.floats(0.0, 1.0, exclude_max=True))
def test_a_draw_has_positive_probability(problem, u):
    """Whatever the uniform number, ends included."""
    pmf = _pmf("inverse_gap", *problem)
    for uniform in (u, 0.0, np.nextafter(1.0, 0.0)):
        assert pmf[draw(pmf, uniform)] > 0.0


def test_a_draw_at_the_upper_end_is_the_last_possible_model():
    """The product u * total can round up to the total itself, which no cumulative sum exceeds."""
    u = np.nextafter(1.0, 0.0)
    pmf = np.array([5e-324, 0.0])
    assert u * pmf.sum() == pmf.sum()
    assert draw(pmf, u) == 0
    assert draw(np.array([0.25, 0.75, 0.0]), u) == 1


def test_a_draw_on_the_border_is_the_upper_model():
    """A model owns [from, to): with u in [0, 1) its share is then exactly its probability."""
    pmf = np.array([0.0, 0.25, 0.75])
    assert [draw(pmf, u) for u in (0.0, np.nextafter(0.25, 0.0), 0.25)] == [1, 1, 2]


def test_a_draw_of_nothing_says_so():
    """Nan, infinity and nobody are -1, which is no index that a caller could use by mistake without asserting."""
    assert draw(np.array([0.5, np.nan]), 0.1) == -1
    assert draw(np.array([np.inf, 0.5]), 0.1) == -1
    assert draw(np.array([0.5, 0.5]), np.nan) == -1
    assert draw(np.zeros(3), 0.5) == -1
    assert draw(np.zeros(0), 0.5) == -1


def test_draws_follow_the_distribution():
    """Chi-square of 1e5 draws, and the mean of 1[drawn] / p is 1 for each model within 4 standard errors."""
    rng = np.random.default_rng(0)
    draws = 100_000 if COMPILED else 20_000
    pmf = np.array([0.4, 0.0, 0.3, 0.02, 0.28])
    counts = np.bincount([draw(pmf, u) for u in rng.random(draws)], minlength=5)
    possible = pmf > 0
    expected = draws * pmf[possible]
    assert counts[1] == 0
    assert ((counts[possible] - expected) ** 2 / expected).sum() < 18.5  # 0.1 % of chi-square with 3 degrees
    weights = counts[possible] / expected
    assert (np.abs(weights - 1) < 4 * np.sqrt((1 / pmf[possible] - 1) / draws)).all()
