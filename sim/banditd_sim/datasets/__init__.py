"""Data sets: loaders, writers, splits, and one way to open them all."""

from banditd_sim.datasets.arena import load_arena
from banditd_sim.datasets.banditd_log import BanditdLog, load_banditd, write_banditd
from banditd_sim.datasets.dsjson import load_dsjson, write_dsjson
from banditd_sim.datasets.embedding import embed_table
from banditd_sim.datasets.errors import DatasetError
from banditd_sim.datasets.forms import FORMS, Form, recognise
from banditd_sim.datasets.openbandit import load_open_bandit, write_open_bandit
from banditd_sim.datasets.opening import (
    FOLDERS_VARIABLE,
    Dataset,
    Description,
    Found,
    data_folders,
    describe,
    find_datasets,
    log_fingerprint,
    open_dataset,
)
from banditd_sim.datasets.paretobandit import ParetoBanditError, load_paretobandit, paretobandit_table
from banditd_sim.datasets.routerbench import load_routerbench
from banditd_sim.datasets.shared import load_shared
from banditd_sim.datasets.views import TEST, TRAIN, select_models, split_table, take

__all__ = [
    "FOLDERS_VARIABLE",
    "FORMS",
    "TEST",
    "TRAIN",
    "BanditdLog",
    "Dataset",
    "DatasetError",
    "Description",
    "Form",
    "Found",
    "ParetoBanditError",
    "data_folders",
    "describe",
    "embed_table",
    "find_datasets",
    "load_arena",
    "load_banditd",
    "load_dsjson",
    "load_open_bandit",
    "load_paretobandit",
    "load_routerbench",
    "load_shared",
    "log_fingerprint",
    "open_dataset",
    "paretobandit_table",
    "recognise",
    "select_models",
    "split_table",
    "take",
    "write_banditd",
    "write_dsjson",
    "write_open_bandit",
]
