"""Memory of a replay by prompts and seeds: python tests/bench/bench_sim_memory.py [prompts].

Each figure is the peak of a process of its own, less that of one which plays 100 prompts: what data, replay and results
take. Seeds are played one after the other on the same arrays. Prints a table; nothing is asserted.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from banditd_sim.experiments.config import experiment_of
from banditd_sim.experiments.run import run
from banditd_sim.worlds import make_world

MODELS, DIMENSION = 3, 384


def peak_mib(prompts, seeds):
    """Return the peak of a process that plays a world, in MiB."""
    command = [sys.executable, __file__, "child", str(prompts), str(seeds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def play(prompts, seeds):
    """Play and print the peak of this process."""
    table = make_world("linear", {"prompts": str(prompts), "models": str(MODELS), "dimension": str(DIMENSION)}).table
    experiment = experiment_of({"datasets": ["linear"], "policies": ["linucb"], "baselines": False, "seeds": seeds})
    with tempfile.TemporaryDirectory() as folder:
        run(experiment, [table], Path(folder) / "out")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main():
    """Measure and print."""
    if sys.argv[1:2] == ["child"]:
        play(int(sys.argv[2]), int(sys.argv[3]))
        return
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    base = peak_mib(100, 1)
    print(f"{MODELS} models, {DIMENSION} dimensions; {base:.0f} MiB for 100 prompts and one seed")
    print(f"{'prompts':>10} {'seeds':>6} {'MiB more':>10} {'bytes per prompt':>18}")
    for prompts, seeds in ((most // 4, 1), (most // 2, 1), (most, 1), (most, 2), (most, 5), (most, 10)):
        more = peak_mib(prompts, seeds) - base
        print(f"{prompts:10,} {seeds:6} {more:10.1f} {more * 2**20 / prompts:18,.0f}", flush=True)


if __name__ == "__main__":
    main()
