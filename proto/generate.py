"""Generates the Python code of the protos into clients/python/banditd_proto.

Usage: python proto/generate.py [--check]

Needs grpcio-tools 1.75.1: generated code refuses a protobuf runtime older than its maker's, and what 1.75.1 makes
loads under protobuf 6.31 to 7. `--check` writes nothing and exits with 1 if the committed code is stale.
"""

import argparse
import filecmp
import importlib.metadata
import re
import sys
import tempfile
from pathlib import Path

TOOLS_VERSION = "1.75.1"
PROTO_DIR = Path(__file__).resolve().parent
OUT_DIR = PROTO_DIR.parent / "clients" / "python" / "banditd_proto"
# Imports inside generated files name the proto path; the package lives under banditd_proto so that it never clashes
# with the server's own package `banditd`.
IMPORT = re.compile(r"^(from|import) banditd([. ])", re.MULTILINE)


def generate(out_dir: Path) -> None:
    """Write the generated package into *out_dir*, which must not exist or be empty."""
    import grpc_tools
    from grpc_tools import protoc

    found = importlib.metadata.version("grpcio-tools")
    if found != TOOLS_VERSION:
        sys.exit(f"grpcio-tools: expected {TOOLS_VERSION}, got {found}")
    out_dir.mkdir(parents=True, exist_ok=True)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = sorted(str(path) for path in PROTO_DIR.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        code = protoc.main(
            [
                "protoc",
                f"-I{PROTO_DIR}",
                f"-I{well_known}",
                f"--python_out={scratch}",
                f"--pyi_out={scratch}",
                f"--grpc_python_out={scratch}",
                *sources,
            ]
        )
        if code != 0:
            sys.exit(code)
        root = Path(scratch) / "banditd"
        for path in sorted(root.rglob("*.py*")):
            target = out_dir / path.relative_to(root)
            if path.name.endswith("_pb2_grpc.py") and not path.name.endswith("_service_pb2_grpc.py"):
                continue  # a file without a service has an empty one
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(IMPORT.sub(r"\1 banditd_proto\2", path.read_text()))
    for folder in (out_dir, *(path for path in out_dir.rglob("*") if path.is_dir())):
        (folder / "__init__.py").write_text('"""Generated from proto/ by proto/generate.py; never edited."""\n')
    (out_dir / "py.typed").write_text("")


def stale_files(expected: Path, committed: Path) -> list[str]:
    """Return the relative paths that differ between the two folders."""
    paths = {path.relative_to(root) for root in (expected, committed) for path in root.rglob("*.py*")}
    # The interpreter's own files come and go; what only one side has is among the errors.
    names = [str(path) for path in paths if "__pycache__" not in path.parts]
    _, mismatch, errors = filecmp.cmpfiles(expected, committed, names, shallow=False)
    return sorted(mismatch + errors)


def main() -> None:
    """Generate, or check."""
    parser = argparse.ArgumentParser(description="Generates the Python code of the protos.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the code is stale")
    if not parser.parse_args().check:
        generate(OUT_DIR)
        return
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        stale = stale_files(Path(scratch), OUT_DIR)
    if stale:
        sys.exit("stale generated code, run `make proto`: " + ", ".join(stale))


if __name__ == "__main__":
    main()
