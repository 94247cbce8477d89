"""The decorators that compile a kernel, and the table in which every kernel is found.

This is the only place where compiler flags are chosen:

* **Strict floating point, everywhere.** No ``fastmath``, no reassociation, no contraction to fused multiply-add. The
  same inputs then give the same bits with SSE, AVX2 and AVX-512, with the interpreter, and on the machine that replays
  the log next year. A strict sum over ``j`` does not vectorise, so products are written in axpy order: for ``i``, for
  ``j``, ``acc[j] += x[i] * m[i, j]``. The accumulators over ``j`` are independent, so they vectorise as they stand.
  Measured in one run for ten quadratic forms of 66 x 66 in float32, on a busy Xeon core: strict row sums 64 us, axpy
  order 12 us, NumPy 18 us (8 and 10 us when less busy). Functions of the C library (``exp``, ``erfc``, ``cos``) pick
  their code by processor, so kernels use those of ``elementary`` instead, which are only sums and products.
* ``error_model="numpy"``: division by zero gives inf or nan, not an exception in the middle of a row.
* ``nogil=True``: other threads run meanwhile.
* The cache: machine code is stored on disk, by processor type. See `UNCACHED` for when that is impossible.

Two modes of Numba's own are honoured: ``NUMBA_DISABLE_JIT=1`` leaves plain Python functions, and
``NUMBA_BOUNDSCHECK=1`` checks every index (with cache files of its own, for Numba does not tell the two apart).
"""

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

# By name, because Numba has no type stubs: an import statement would need a setting in every project that checks us.
numba: Any = importlib.import_module("numba")

type_of_function = TypeVar("type_of_function", bound=Callable[..., Any])

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.uint8]
Slots = NDArray[np.uint16]
Bits16 = NDArray[np.uint16]
Bits32 = NDArray[np.uint32]
Codes8 = NDArray[np.int8]
Codes16 = NDArray[np.int16]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a kernel takes in one place: a scalar, or a C-contiguous array.

    Attributes:
        dtype: NumPy's name of the element type.
        shape: One letter per axis, equal letters meaning equal lengths; empty for a scalar. ``K`` models, ``N`` row
            width, ``B`` contexts of a batch, ``E`` embedding width, ``D`` projected width, ``R`` random features,
            ``T`` the three metrics, ``V`` the four values expected of a model, ``C`` categories, ``G`` points of a
            grid, ``Q`` rows of a chunk, ``J`` neighbours, ``X`` a contrast's row, ``S`` its sums, ``Y`` five numbers of
            a regression, ``H`` two halves, or mean and variance, ``A`` what is known of a prompt's
            arrival, ``W`` a row of at least D + 2 values, ``L`` numbers of models, ``M`` decisions that a budget
            remembers, ``P`` numbers of its accounts.
        out: Written and not read.
        inout: Read and written: a state.
    """

    dtype: str
    shape: str = ""
    out: bool = False
    inout: bool = False

    @property
    def mutable(self) -> bool:
        """Whether the kernel writes to it. Everything else takes read-only arrays as well as writable ones."""
        return self.out or self.inout


f32 = Parameter("float32")
f64 = Parameter("float64")
i64 = Parameter("int64")
boolean = Parameter("bool")
u8 = Parameter("uint8")
i8 = Parameter("int8")
u16 = Parameter("uint16")
u32 = Parameter("uint32")


def array(dtype: Parameter, shape: str, *, out: bool = False, inout: bool = False) -> Parameter:
    """Describe a C-contiguous array parameter; see `Parameter` for the letters of *shape*."""
    return replace(dtype, shape=shape, out=out, inout=inout)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One entry of the table.

    Attributes:
        name: As in its file; unique among all kernels.
        module: Name of the file, without ``.py``: the twin lives in the file of that name in ``tests/reference``.
        function: What callers call: compiled, unless compiling is off.
        python: The same function, never compiled.
        parameters: In order.
        returns: Types of the results; empty for none.
    """

    name: str
    module: str
    function: Callable[..., Any]
    python: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    returns: tuple[Parameter, ...]


KERNELS: dict[str, Kernel] = {}
"""Every kernel by name. Filled while the modules are imported, then only read."""

UNCACHED: dict[str, str] = {}
"""Kernels whose machine code could not be kept on disk, with the reason. Filled at import, then only read.

They work, but every start compiles them anew (seconds rather than milliseconds), so a server logs this once. The cure
is a writable ``NUMBA_CACHE_DIR``: without it Numba looks beside the source files and in the user's home, and a
container that is read-only or has no home offers neither.
"""

FLAGS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy"}
"""What every kernel and helper is compiled with, beside the cache, which `_enable_cache` adds to kernels."""

COMPILED = not numba.config.DISABLE_JIT
"""False under ``NUMBA_DISABLE_JIT=1``."""


def _source_digest() -> str:
    """Hash every file of this package.

    Numba renews a cached kernel when the file it stands in changes. A kernel also contains the helpers it calls, from
    whichever file, and must be renewed with those: stale code would break replay without a sign.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCE_DIGEST = _source_digest()


def _enable_cache(dispatcher: Any) -> None:
    """Keep the machine code of *dispatcher* on disk. Raises whatever Numba raises if it finds no writable place."""
    dispatcher.enable_caching()
    # Numba has no public way to say what else the code depends on, so the file that it would use is replaced by one
    # with another name and stamp. BOUNDSCHECK is not part of Numba's key: without the suffix a test run with checks
    # would leave its slow code to the server, or find the server's unchecked code and check nothing.
    cache = dispatcher._cache  # noqa: SLF001
    suffix = "-checked" if numba.config.BOUNDSCHECK else ""
    cache._cache_file = type(cache._cache_file)(  # noqa: SLF001
        cache_path=cache._cache_path,  # noqa: SLF001
        filename_base=cache._impl.filename_base + suffix,  # noqa: SLF001
        source_stamp=(_SOURCE_DIGEST, suffix),
    )


def _numba_type(parameter: Parameter) -> Any:
    scalar = numba.from_dtype(np.dtype(parameter.dtype))
    if not parameter.shape:
        return scalar
    return numba.types.Array(scalar, len(parameter.shape), "C", readonly=not parameter.mutable)


def _compile(function: Callable[..., Any], signature: Any) -> Any:
    dispatcher = numba.njit(**FLAGS)(function)
    try:
        _enable_cache(dispatcher)
        dispatcher.compile(signature)
    except Exception as error:  # noqa: BLE001
        # A cache that is unwritable, full, or torn by a power cut (Numba does not sync it) fails in many ways, and none
        # is worth refusing to start for. A mistake in the kernel itself is raised again by the next lines.
        UNCACHED[function.__name__] = f"{type(error).__name__}: {error}"
        dispatcher = numba.njit(**FLAGS)(function)
        dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher


def kernel(
    *parameters: Parameter, returns: tuple[Parameter, ...] = ()
) -> Callable[[type_of_function], type_of_function]:
    """Compile the function for exactly these parameters, and enter it in `KERNELS`.

    Compilation (or loading from the cache) happens at import. Arguments of another dtype, layout or rank are a
    ``TypeError`` at the call; read-only arrays are accepted wherever the kernel does not write. The plain function
    stays reachable as ``.py_func``, in all modes.
    """

    def decorate(function: type_of_function) -> type_of_function:
        name = function.__name__
        assert name not in KERNELS, name
        compiled: Any = function
        if COMPILED:
            results = [_numba_type(result) for result in returns]
            if not results:
                result = numba.types.void
            elif len(results) == 1:
                result = results[0]
            else:
                result = numba.types.Tuple(results)
            compiled = _compile(function, result(*(_numba_type(parameter) for parameter in parameters)))
        else:
            compiled.py_func = function
        module = function.__module__.rpartition(".")[2]
        KERNELS[name] = Kernel(name, module, compiled, function, parameters, returns)
        checked: type_of_function = compiled
        return checked

    return decorate


def helper(function: type_of_function) -> type_of_function:
    """Compile a function that only kernels call. It becomes part of each of them, with the same strict arithmetic."""
    return _compile_helper(function, inline="never")


def inlined(function: type_of_function) -> type_of_function:
    """Like `helper`, for a formula that is called once per element: copied into the caller's loop, whatever its length.

    LLVM alone leaves longer ones as calls, and a loop with a call in it does not become vector code (three times
    slower). Costs compile time, so helpers that have loops of their own are not marked.
    """
    return _compile_helper(function, inline="always")


def _compile_helper(function: type_of_function, *, inline: str) -> type_of_function:
    compiled: Any = function
    if COMPILED:
        # "never" is about Numba's own copying; LLVM still inlines what is short.
        compiled = numba.njit(**FLAGS, inline=inline)(function)
    else:
        compiled.py_func = function
    checked: type_of_function = compiled
    return checked
