"""Fixtures of the kernel tests."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _quiet_arithmetic():
    """Let infinities and nans arise: interpreted kernels (NUMBA_DISABLE_JIT=1) warn of them, compiled ones cannot."""
    with np.errstate(all="ignore"):
        yield
