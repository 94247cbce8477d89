"""Float16, in which embeddings are logged, by integer arithmetic: NumPy converts one value at a time."""

import numpy as np

from banditd.kernels._jit import Array32, Bits16, array, boolean, f32, helper, kernel, u16

# Bits of float32: infinity, 2^16 (beyond float16 after rounding), 2^-14 (float16's least normal number), and 1/2, whose
# last bit is worth as much as that of a subnormal float16.
_INFINITY = np.int32(0x7F800000)
_OVERFLOW = np.int32(0x47800000)
_LEAST_NORMAL = np.int32(0x38800000)
_HALF = np.int32(0x3F000000)
# From float32's exponent bias to float16's.
_REBIAS = np.int32(0x38000000)
# Half a unit in float16's last place, less one bit: adding it rounds ties down, and one more bit makes odd ones go up.
_ROUND = np.int32(0x0FFF)
# Of float16, shifted to where float32 has its mantissa: infinity; and what makes up for the smaller bias.
_HALF_INFINITY = np.int32(0x0F800000)
_TWO_TO_112 = np.float32(2.0**112)


@helper
def from_half(
    bits: int,  # of a float16
) -> np.float32:
    """Return the float32 of the same value."""
    magnitude = np.int32((np.int32(bits) & 0x7FFF) << 13)
    # The exponents differ by 112, normal and subnormal: the product is exact.
    value = np.float32(magnitude.view(np.float32) * _TWO_TO_112)
    if magnitude >= _HALF_INFINITY:
        value = np.int32(magnitude | _INFINITY).view(np.float32)
    return np.float32(-value) if bits & 0x8000 else value


@kernel(array(f32, "E"), array(u16, "E", out=True), returns=(boolean,))
def to_half(
    x: Array32,  # (E,)
    out_bits: Bits16,  # (E,) written: the nearest float16, ties to even; infinite from 65520 on
) -> bool:
    """Round to float16, as NumPy does, and return whether every result is finite. A nan loses its payload.

    The branch-free scheme of F. Giesen's `float_to_half_fast3_rtne` (2016), so that the loop becomes vector code.
    """
    bits = x.view(np.int32)
    worst = np.int32(0)
    for i in range(x.shape[0]):
        # Every step is cast back to 32 bits, which Numba would leave, and with them half of a vector.
        sign = np.int32((bits[i] >> 16) & 0x8000)
        magnitude = np.int32(bits[i] & 0x7FFFFFFF)
        odd = np.int32((magnitude >> 13) & 1)
        normal = np.int32(np.int32(magnitude - _REBIAS + _ROUND + odd) >> 13)
        # Adding 1/2 rounds to units of the subnormal's last place, and leaves them in the low bits of the sum.
        small = np.int32(np.float32(magnitude.view(np.float32) + np.float32(0.5)).view(np.int32) - _HALF)
        rounded = small if magnitude < _LEAST_NORMAL else normal
        beyond = np.int32(0x7E00) if magnitude > _INFINITY else np.int32(0x7C00)
        rounded = beyond if magnitude >= _OVERFLOW else rounded
        worst = rounded if rounded > worst else worst  # noqa: FURB136 - not the builtin, which would widen to 64 bits
        out_bits[i] = np.uint16(sign | rounded)
    return bool(worst < 0x7C00)
