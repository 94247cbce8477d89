"""What gets installed is pinned by hash, and what was generated is what the protos say."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def locked_versions(lock: Path) -> dict[str, str]:
    """Return name and version of each package of *lock*."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def canonical_name(requirement: str) -> str:
    """Return the name that *requirement* starts with, as the locks write it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_has_a_hash_for_every_package(lock: Path) -> None:
    """Nothing that an index serves under a known name and version is trusted for that."""
    blocks = re.split(r"^(?=\S)", lock.read_text(), flags=re.MULTILINE)
    unhashed = [block for block in blocks if block.strip() and "--hash=sha256:" not in block]
    assert unhashed == []
    assert "://" not in lock.read_text()


def test_locks_do_not_overlap() -> None:
    """Each lock adds to those before it, so that they can be installed together."""
    names = [name for lock in LOCKS if lock.stem != "proto" for name in locked_versions(lock)]
    assert len(names) == len(set(names))


def test_locks_hold_every_dependency() -> None:
    """A dependency added to a pyproject file without `make lock` would be missing wherever make installs."""
    server = tomllib.loads((ROOT / "pyproject.toml").read_text())
    client = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text())
    simulator = tomllib.loads((ROOT / "sim" / "pyproject.toml").read_text())
    extras = simulator["project"]["optional-dependencies"]
    wanted = [
        *server["project"]["dependencies"],
        *server["project"]["optional-dependencies"]["parquet"],
        *server["project"]["optional-dependencies"]["yaml"],
        *server["dependency-groups"]["dev"],
        *server["dependency-groups"]["build"],
        *client["project"]["dependencies"],
        *simulator["project"]["dependencies"],
        *extras["embed"],
        *extras["demo"],
    ]
    locked = {name for lock in LOCKS if lock.stem != "proto" for name in locked_versions(lock)}
    names = {canonical_name(requirement) for requirement in wanted}
    assert names - locked <= {"banditd", "banditd-client", "banditd-sim"}


def test_dockerfile_passes_hadolint() -> None:
    """The Dockerfile follows the published practice, without exceptions."""
    hadolint = Path(sys.executable).parent / "hadolint"
    binary = str(hadolint) if hadolint.exists() else shutil.which("hadolint")
    if binary is None:
        pytest.skip("needs hadolint, which make test installs")
    done = subprocess.run([binary, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_generated_code_is_fresh() -> None:
    """The committed code is what the protos generate."""
    python = ROOT / ".venv-proto" / "bin" / "python"
    if not python.exists():
        pytest.skip("needs .venv-proto, which make proto makes")
    command = [python, ROOT / "proto" / "generate.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
