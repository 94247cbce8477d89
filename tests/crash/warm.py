"""Starts servers quickly: does the imports of `banditd serve` once, then becomes a server with each fork.

Run by harness.py: python warm.py. Reads lines of JSON, [stderr path, arguments...], and answers each with the process
id of a fork that runs the command line with these arguments; [pid] waits for one and answers with its status.
Nothing of gRPC or LMDB is used before the fork: what runs is what `python -m banditd.cli.main` runs, without its two
seconds of imports.
"""

import contextlib
import json
import os
import sys

import grpc_health.v1.health_pb2_grpc
import prometheus_client

import banditd.server.app
from banditd.cli.main import main

IMPORTED = (banditd.server.app, prometheus_client, grpc_health)


def serve(log: str, arguments: list[str]) -> None:
    """Become the server."""
    handle = os.open(log, os.O_WRONLY)
    os.dup2(handle, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["banditd", *arguments]
    code = 1
    try:
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(code)


def answer(line: str) -> int:
    """Do what a line asks for."""
    asked = json.loads(line)
    if isinstance(asked[0], int):
        with contextlib.suppress(ChildProcessError):
            return os.waitpid(asked[0], 0)[1]
        return -1
    child = os.fork()
    if child == 0:
        serve(asked[0], asked[1:])
    return child


if __name__ == "__main__":
    for request in sys.stdin:
        print(answer(request), flush=True)
