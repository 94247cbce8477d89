"""Experiments: policies x budgets x seeds on data sets, resumable, the same bytes for the same config."""
