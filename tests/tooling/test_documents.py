"""The Makefile is documented, and the three distributions are one version."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERBS = re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
DISTRIBUTIONS = ["banditd", "banditd-client", "banditd-sim"]


def test_makefile_has_the_verbs_we_promise() -> None:
    """The pattern above finds verbs, so that the next test is not empty."""
    assert {"demo", "run", "test", "test-long", "check", "bench", "proto"} <= set(VERBS)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "help"])
def test_verb_is_documented(verb: str) -> None:
    """Every verb of the Makefile stands in README.md or CONTRIBUTING.md."""
    text = "".join(path.read_text() for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if path.exists())
    assert re.search(rf"\bmake {verb}(?![a-z-])", text)


def test_distributions_share_one_version() -> None:
    """The server, the client and the simulator are released together."""
    assert len({importlib.metadata.version(name) for name in DISTRIBUTIONS}) == 1


def test_distributions_pin_each_other() -> None:
    """The server asks for its own client, the simulator for its own server: in the version they share."""
    version = importlib.metadata.version("banditd")
    server = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    simulator = tomllib.loads((ROOT / "sim" / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"banditd-client=={version}" in server
    assert f"banditd=={version}" in simulator


def test_changelog_has_the_version() -> None:
    """The newest heading of the changelog is the version in the tree."""
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == importlib.metadata.version("banditd")
