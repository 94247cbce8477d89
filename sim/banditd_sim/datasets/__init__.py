"""Loaders of logged comparisons."""
