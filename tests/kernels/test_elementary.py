"""Elementary functions against the C library and SciPy."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from banditd.kernels.elementary import EXP_MIN, cosine, exp_negative, logarithm, normal


def test_exp_is_right_to_two_units_in_the_last_place():
    """Over the whole range, from rounding to 1 down to the flush to zero."""
    for x in -np.geomspace(1e-20, -EXP_MIN, 3000):
        assert abs(exp_negative(x) - math.exp(x)) <= 2 * np.spacing(math.exp(x))
    assert exp_negative(0.0) == 1.0


def test_exp_has_no_surprises_at_the_ends():
    """Very negative numbers give 0, never a subnormal number or a wrapped exponent; nan is not hidden."""
    assert exp_negative(np.nextafter(EXP_MIN, -1e9)) == 0.0
    assert exp_negative(-1e308) == 0.0
    assert exp_negative(-math.inf) == 0.0
    assert math.isnan(exp_negative(math.nan))


def test_cosine_is_right_and_bounded():
    """To 1e-11 where float32 features live, within [-1, 1] everywhere."""
    for angle in np.linspace(-200, 200, 3001):
        assert abs(cosine(angle) - math.cos(angle)) < 1e-11
    for angle in np.geomspace(1e3, 1e300, 200):
        assert abs(cosine(angle)) <= 1.0
    assert math.isnan(cosine(math.inf))
    assert math.isnan(cosine(math.nan))


def test_normal_is_right_in_the_lower_tail():
    """Relative to the tiny value itself: the quadrature divides by it."""
    for u in np.linspace(-12, 0, 2001):
        density, cdf = normal(u)
        assert density == pytest.approx(math.exp(-u * u / 2) / math.sqrt(2 * math.pi), rel=1e-12)
        assert cdf == pytest.approx(ndtr(u), rel=1e-12)
        assert normal(-u)[1] == pytest.approx(ndtr(-u), rel=1e-15, abs=1e-12)


def test_logarithm_is_right_to_some_units_in_the_last_place():
    """Over all magnitudes, and close to 1, where the sum of its parts is small."""
    for x in np.concatenate([np.geomspace(1e-300, 1e300, 3000), 1.0 + np.linspace(-0.2, 0.2, 1001)]):
        assert abs(logarithm(x) - math.log(x)) <= 3 * np.spacing(abs(math.log(x)) + 1e-300)
    assert logarithm(1.0) == 0.0


def test_logarithm_of_what_has_none_is_no_number():
    """Zero, a negative number, and nan."""
    assert all(math.isnan(logarithm(x)) for x in (0.0, -1.0, math.nan))
