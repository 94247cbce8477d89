"""The log and what is derived from it, on disk in one LMDB environment."""
