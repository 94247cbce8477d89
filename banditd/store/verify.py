"""Reads every page of a data file: python -m banditd.store.verify DIRECTORY.

A process of its own, because the kernel kills who reads a map beyond the end of its file, and LMDB ends the process
where its own structure is damaged.
"""

import sys

import lmdb

# One byte of each page of a value is touched.
_PAGE_BYTES = 4096


def read_all(path: str) -> None:
    """Read every key and value of every database; raises or dies where one cannot be read."""
    with lmdb.open(path, readonly=True, max_dbs=8, readahead=False) as env, env.begin(buffers=True) as root:
        for name, _ in list(root.cursor()):
            database = env.open_db(bytes(name), root, create=False)
            for _, value in root.cursor(db=database):
                bytes(value[::_PAGE_BYTES])
                bytes(value[-1:])


if __name__ == "__main__":
    read_all(sys.argv[1])
