"""Elementary functions made of sums and products only, for the kernels.

The C library chooses its ``exp`` by processor (with and without fused multiply-add) and by version, so its last bit
differs between machines, and a loop around it does not vectorise. These do neither. All are branch-free where it
matters, so a loop over an array becomes vector code after inlining.
"""

import math

import numpy as np

from banditd.kernels._jit import inlined

_LOG2_E = 1.4426950408889634
_SQRT_HALF = 0.7071067811865476
# ln 2 in two parts: the first has 32 trailing zero bits, so that its product with an integer below 2^32 is exact.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
# Adding 1.5 * 2^52 rounds to an integer and leaves it, in two's complement, in the low bits of the sum.
_ROUNDER = 6755399441055744.0
_EXPONENT_BIAS = np.int64(1023)
_MANTISSA_BITS = np.int64(52)

# exp(-700) is 1e-304: smaller ones are flushed to zero, well before the bits of a subnormal would have to be built.
EXP_MIN = -700.0

_TURNS_PER_RADIAN = 0.15915494309189535
_RADIANS_PER_TURN = 6.283185307179586

_INV_SQRT_TAU = 0.3989422804014327
# (x + 4) * erfc(x / sqrt 2) * exp(x^2 / 2) / 2 as a polynomial in (x - 4) / (x + 4), fitted at 4000 Chebyshev points of
# 0 <= x <= 12 (the substitution of Shepherd & Laframboise 1981); relative error at most 1.5e-13 there.
_TAIL_PIVOT = 4.0
_TAIL = (
    0.7552851304158229,
    -0.6078966419739168,
    0.3871374007266282,
    -0.18652185780290267,
    0.06039657552241748,
    -0.007540192281077122,
    -0.0034797031369660984,
    0.001630846392738836,
    0.00013343813890730725,
    -0.0002311870433522274,
    -2.337895693485008e-06,
    3.5139845992889536e-05,
    1.6700086214513935e-06,
    -5.271947148427777e-06,
    -1.338589566013163e-06,
)


@inlined
def exp_negative(
    x: float,  # exponent, <= 0
) -> float:
    """Return e^x for x <= 0, to 2 units in the last place; 0 below `EXP_MIN`; nan stays nan."""
    bounded = EXP_MIN if x < EXP_MIN else x  # noqa: FURB136 - max() may lose a nan
    shifted = np.float64(bounded * _LOG2_E + _ROUNDER)
    n = shifted - _ROUNDER
    r = (bounded - n * _LN2_HIGH) - n * _LN2_LOW
    # Taylor series on |r| <= ln(2) / 2: the first term left out is below 4e-18.
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    bits = np.int64((shifted.view(np.int64) + _EXPONENT_BIAS) << _MANTISSA_BITS)
    return 0.0 if x < EXP_MIN else float(p * bits.view(np.float64))


@inlined
def logarithm(
    x: float,  # > 0, normal
) -> float:
    """Return the natural logarithm, to 2 units in the last place away from 1; nan for what is not above 0.

    x = m 2^e with m in [1/sqrt(2), sqrt(2)), and log m = 2 artanh((m - 1) / (m + 1)).
    """
    if not x > 0.0:
        return math.nan
    m, e = math.frexp(x)
    if m < _SQRT_HALF:
        m += m
        e -= 1
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    # |s| <= 0.1716: the first term left out is below 1e-18 of the sum.
    p = 1.0 / 21.0
    p = p * z + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return np.float64(e) * _LN2_HIGH + (2.0 * s + (2.0 * s * z * p + np.float64(e) * _LN2_LOW))


@inlined
def cosine(
    angle: float,  # radians
) -> float:
    """Return cos(angle), always within [-1, 1], to 1e-11 for |angle| < 1e4; non-finite gives nan.

    The angle is reduced in turns, where taking off the whole ones is exact, so that even 1e30 gives a bounded (though
    then meaningless) value.
    """
    turns = angle * _TURNS_PER_RADIAN
    part = turns - np.floor(turns + 0.5)
    # cos(t) = sin(pi / 2 - |t|), whose argument lies within [-pi / 2, pi / 2].
    r = (0.25 - math.fabs(part)) * _RADIANS_PER_TURN
    s = r * r
    p = -1.0 / 1307674368000.0
    p = p * s + 1.0 / 6227020800.0
    p = p * s - 1.0 / 39916800.0
    p = p * s + 1.0 / 362880.0
    p = p * s - 1.0 / 5040.0
    p = p * s + 1.0 / 120.0
    p = p * s - 1.0 / 6.0
    p = p * s + 1.0
    return float(p * r)


@inlined
def normal(
    u: float,  # standard score, |u| <= 12
) -> tuple[float, float]:
    """Return density and distribution function of the standard normal at u.

    Both have relative error below 1e-12 for u < 0, absolute for u > 0. They share one exponential, which is why they
    come together.
    """
    x = math.fabs(u)
    decay = exp_negative(-0.5 * x * x)
    # (x - 4) / (x + 4), by way of the one division that is needed anyway.
    inverse = 1.0 / (x + _TAIL_PIVOT)
    t = 1.0 - 2.0 * _TAIL_PIVOT * inverse
    p = _TAIL[14]
    p = p * t + _TAIL[13]
    p = p * t + _TAIL[12]
    p = p * t + _TAIL[11]
    p = p * t + _TAIL[10]
    p = p * t + _TAIL[9]
    p = p * t + _TAIL[8]
    p = p * t + _TAIL[7]
    p = p * t + _TAIL[6]
    p = p * t + _TAIL[5]
    p = p * t + _TAIL[4]
    p = p * t + _TAIL[3]
    p = p * t + _TAIL[2]
    p = p * t + _TAIL[1]
    p = p * t + _TAIL[0]
    tail = decay * p * inverse
    return decay * _INV_SQRT_TAU, (tail if u < 0.0 else 1.0 - tail)
