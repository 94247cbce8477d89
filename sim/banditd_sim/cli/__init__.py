"""The command `banditd-sim`; one verb per file."""

from banditd_sim.cli.main import main

__all__ = ["main"]
