"""write_report: every table, plot and page of a finished experiment."""

from __future__ import annotations

from collections.abc import Sequence

from banditd_sim.experiments.config import Experiment
from banditd_sim.experiments.keep import Folder
from banditd_sim.experiments.plan import Subject, Task
from banditd_sim.report.curves import curves_of
from banditd_sim.report.plots import draw_all
from banditd_sim.report.run_page import write_page
from banditd_sim.report.schema import Summary
from banditd_sim.report.summary import summarise
from banditd_sim.report.tables import write_tables


def write_report(experiment: Experiment, folder: Folder, tasks: Sequence[Task], subjects: Sequence[Subject]) -> Summary:
    """Write tables, plots and report.html into the folder; returns the summary."""
    summary = summarise(experiment, folder, tasks, subjects)
    curves = curves_of(experiment, folder, tasks, subjects, summary)
    write_tables(folder.path, summary, curves)
    plots = draw_all(folder.path, summary, curves)
    write_page(folder.path, summary, plots, folder.about)
    return summary
