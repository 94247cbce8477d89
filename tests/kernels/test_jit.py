"""The table of kernels, how they refuse wrong arguments, and where their machine code is kept."""

import importlib
import inspect
import os
import pkgutil
import shutil
import subprocess
import sys

import numpy as np
import pytest

import banditd.kernels
from banditd.kernels import COMPILED, KERNELS, UNCACHED, sample_arguments, warm_up
from banditd.kernels._jit import FLAGS

compiled_only = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")


def _modules():
    return [
        importlib.import_module(f"banditd.kernels.{m.name}") for m in pkgutil.iter_modules(banditd.kernels.__path__)
    ]


def test_warm_up_calls_every_kernel():
    """And reports each with its time, in order of name."""
    timings = warm_up()
    assert [name for name, _ in timings] == sorted(KERNELS)
    assert all(seconds >= 0.0 for _, seconds in timings)


def test_every_kernel_is_exported():
    """The package is what callers import from."""
    assert set(KERNELS) <= set(banditd.kernels.__all__)
    assert sorted(banditd.kernels.__all__) == sorted(set(banditd.kernels.__all__))
    for name, kernel in KERNELS.items():
        assert getattr(banditd.kernels, name) is kernel.function


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_kernel_keeps_to_the_style(name):
    """Documented, its plain function reachable, outputs last, and a declared place for every parameter."""
    kernel = KERNELS[name]
    parameters = list(inspect.signature(kernel.python).parameters)
    assert kernel.python.__doc__
    assert kernel.function.py_func is kernel.python
    assert len(parameters) == len(kernel.parameters)
    outputs = [p.out for p in kernel.parameters]
    assert outputs == sorted(outputs)
    assert all(p.startswith("out") == output for p, output in zip(parameters, outputs, strict=True))


@compiled_only
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_wrong_arguments_are_a_type_error(name):
    """Of another dtype, with gaps, or read-only where the kernel writes: refused at the call, never compiled for."""
    kernel = KERNELS[name]
    for i, parameter in enumerate(kernel.parameters):
        if not parameter.shape:
            continue
        arguments = sample_arguments(kernel)
        right = arguments[i]
        other = np.float32 if parameter.dtype != "float32" else np.float64
        wrong = [right.astype(other), np.repeat(right, 2, axis=-1)[..., ::2], right[None]]
        if parameter.mutable:
            frozen = right.copy()
            frozen.setflags(write=False)
            wrong.append(frozen)
        for value in wrong:
            arguments[i] = value
            with pytest.raises(TypeError):
                kernel.function(*arguments)


def test_no_module_chooses_its_own_flags():
    """Numba is named in _jit.py only."""
    for module in _modules():
        if module.__name__ != "banditd.kernels._jit":
            assert "numba" not in vars(module)
            assert "fastmath" not in inspect.getsource(module)


@compiled_only
def test_machine_code_has_no_fused_multiply_add():
    """Contraction would give other bits on processors that have the instruction."""
    # What comes from the cache has no assembly left, so the function is compiled anew, as _jit does it.
    again = banditd.kernels._jit.numba.njit(**FLAGS)(KERNELS["fourier"].python)
    again.compile(KERNELS["fourier"].function.signatures[0])
    code = "".join(again.inspect_asm().values())
    assert "mulp" in code or "fmul" in code  # vector instructions of x86 or Arm: it is the loop that is looked at
    assert "fmadd" not in code
    assert "fmla" not in code


def _run(code, folder, **settings):
    """Run code in a process with its own kernels, of which the cheapest are enough to tell."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**environment, **settings},
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout.strip()


@pytest.fixture
def small_package(tmp_path):
    """Make a package with the real decorators, one helper file and one kernel."""
    package = tmp_path / "banditd" / "kernels"
    package.mkdir(parents=True)
    (tmp_path / "banditd" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    shutil.copy(banditd.kernels._jit.__file__, package / "_jit.py")
    (package / "helpers.py").write_text(
        "from banditd.kernels._jit import helper\n\n\n@helper\ndef double(x):\n    return 2.0 * x\n"
    )
    (package / "small.py").write_text(
        "from banditd.kernels._jit import array, f64, kernel\n"
        "from banditd.kernels.helpers import double\n\n\n"
        "@kernel(array(f64, 'K'), f64, returns=(f64,))\n"
        "def small(values, x):\n    return double(x) + values[3]\n"
    )
    return tmp_path


REPORT = (
    "import numpy as np; from banditd.kernels._jit import UNCACHED; from banditd.kernels.small import small\n"
    "print(small(np.zeros(9), 4.0), sum(small.stats.cache_hits.values()), len(UNCACHED))"
)


@compiled_only
def test_machine_code_is_cached_until_any_file_changes(small_package):
    """A second process loads what the first compiled; not so after a helper in another file changed.

    Numba alone looks at the kernel's own file only, and would go on with the old arithmetic.
    """
    cache = str(small_package / "cache")
    assert _run(REPORT, small_package, NUMBA_CACHE_DIR=cache) == "8.0 0 0"
    assert _run(REPORT, small_package, NUMBA_CACHE_DIR=cache) == "8.0 1 0"
    helpers = small_package / "banditd" / "kernels" / "helpers.py"
    helpers.write_text(helpers.read_text().replace("2.0", "3.0"))
    assert _run(REPORT, small_package, NUMBA_CACHE_DIR=cache) == "12.0 0 0"


@compiled_only
def test_checked_and_unchecked_code_are_cached_apart(small_package):
    """Else a run with bounds checks would find code without, and check nothing."""
    cache = str(small_package / "cache")
    _run(REPORT, small_package, NUMBA_CACHE_DIR=cache)
    beyond = (
        "import numpy as np; from banditd.kernels.small import small\n"
        "try:\n    small(np.zeros(2), 1.0)\nexcept IndexError:\n    print('caught')"
    )
    assert _run(beyond, small_package, NUMBA_CACHE_DIR=cache, NUMBA_BOUNDSCHECK="1") == "caught"
    assert _run(REPORT, small_package, NUMBA_CACHE_DIR=cache) == "8.0 1 0"


@compiled_only
def test_without_a_place_for_the_cache_the_kernels_still_work(small_package):
    """Import does not fail; the table UNCACHED tells why it will be slow."""
    in_no_place = "banditd.kernels._jit.no_such_locator"
    assert _run(REPORT, small_package, NUMBA_CACHE_LOCATOR_CLASSES=in_no_place) == "8.0 0 1"


@compiled_only
def test_a_torn_cache_does_not_stop_the_start(small_package):
    """After a power cut a file may be there and be empty."""
    cache = small_package / "cache"
    _run(REPORT, small_package, NUMBA_CACHE_DIR=str(cache))
    for file in cache.rglob("*.nb[ci]"):
        file.write_bytes(b"")
    assert _run(REPORT, small_package, NUMBA_CACHE_DIR=str(cache)).startswith("8.0 0")


def test_here_everything_is_cached():
    """Where these tests run there is a place."""
    assert not UNCACHED
