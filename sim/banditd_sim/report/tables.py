"""Tables on disk: summary.json with everything, and CSV files with what does not change from run to run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from banditd_sim.experiments.keep import write_whole
from banditd_sim.report.curves import Curves
from banditd_sim.report.schema import Row, Summary

# Time is not in the CSV files, so that config plus seed give the same bytes.
_UNTIMED: Final = tuple(name for name in Row.__struct_fields__ if name not in {"rounds_per_second", "shares"})


def write_tables(out: Path, summary: Summary, curves: Curves) -> None:
    """Write summary.json, and summary, phases, frontiers, differences, curves, shares and plane as CSV files."""
    write_whole(out / "summary.json", json.dumps(msgspec.to_builtins(summary), indent=1).encode() + b"\n")
    rows: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in summary.rows]
    write_csv(out / "summary.csv", [{name: row[name] for name in _UNTIMED} for row in rows], _UNTIMED)
    phases: list[dict[str, Any]] = [msgspec.to_builtins(phase) for phase in summary.phases]
    if phases:
        write_csv(out / "phases.csv", phases)
    differences: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in summary.differences]
    if differences:
        write_csv(out / "differences.csv", differences)
    frontiers: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in summary.frontiers]
    if frontiers:
        write_csv(out / "frontiers.csv", frontiers)
    write_csv(out / "curves.csv", curves.over_time)
    if curves.shares:
        write_csv(out / "shares.csv", curves.shares)
    write_csv(out / "plane.csv", curves.plane)


def write_csv(path: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write rows whole; an interval becomes two columns, NAME_low and NAME_high, and null an empty cell."""
    flat = [_flat(row) for row in rows]
    names = list(flat[0]) if flat else list(columns or ())
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_whole(path, text.getvalue().encode())


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith("_ci"):
            low, high = (None, None) if value is None else value
            stem = name.removesuffix("_ci")
            flat |= {f"{stem}_low": low, f"{stem}_high": high}
        elif isinstance(value, dict):
            flat[name] = json.dumps(value)
        else:
            flat[name] = value
    return flat
