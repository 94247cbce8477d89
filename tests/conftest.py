"""What all tests share: where Numba keeps machine code, and where the real data is."""

import faulthandler
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before anything imports numba. Its cache does not know with which of these settings code was compiled: with one folder
# for all, a run with bounds checks would load, and so run, code without them.
_MODE = "bounds" if os.environ.get("NUMBA_BOUNDSCHECK", "0") not in {"", "0"} else "plain"
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".cache" / "numba" / _MODE))


@pytest.fixture(scope="session")
def root_dir() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of real data and reference streams, or skip the test where there is none."""
    configured = os.environ.get("BANDITD_SHARED_DIR")
    folder = Path(configured) if configured else ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs real data: no folder {folder}; BANDITD_SHARED_DIR names another")
    return folder


# The longest of the long tests takes minutes on an idle machine, and hours where it has to share.
_LONG_TIMEOUT_S = 4 * 3600


@pytest.fixture(autouse=True)
def _patience(request: pytest.FixtureRequest) -> None:
    """Give a long test longer than `faulthandler_timeout` before it counts as hanging."""
    if request.node.get_closest_marker("long") is not None:
        faulthandler.dump_traceback_later(_LONG_TIMEOUT_S, exit=True, file=sys.__stderr__)
