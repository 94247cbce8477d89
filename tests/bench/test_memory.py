"""Memory and start-up with a million logged decisions."""

import importlib.util
from pathlib import Path

import pytest


def bench():
    """Return bench_memory.py as a module."""
    spec = importlib.util.spec_from_file_location("bench_memory", Path(__file__).with_name("bench_memory.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.parametrize("window_ms", [86_400_000, 1000], ids=["open windows", "closing windows"])
def test_a_million_decisions(window_ms):
    """A fresh server is small; a million decisions make it little larger and slow no start, even if all are expired."""
    measure = bench().measure
    measure(1000)  # the kernels are compiled by whoever comes first
    figures = measure(1_000_000, window_ms=window_ms)
    assert figures["fresh_VmRSS_mb"] < 300
    assert figures["growth_mb"] <= 100
    assert figures["start_after_sigkill_s"] <= 10
    assert figures["start_after_sigterm_s"] <= 10
