"""What becomes of the rows of an import: each counts once, by the import's id and the row's number. Pure."""

import hashlib
from typing import Final

from banditd.domain.records import Record
from banditd.errors import FailedPreconditionError, Reason
from banditd.learner.commands import ImportHistory

_DIGEST_BYTES: Final = 16


def import_key(router_id: str, import_id: str) -> bytes:
    """Return the key under which it is remembered how far an import has come."""
    text = f"{router_id}\0{import_id}".encode()
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES, person=b"import").digest()


def new_records(command: ImportHistory, row_count: int) -> tuple[Record, ...]:
    """Return the records of the rows that are new.

    Args:
        command: The rows.
        row_count: Rows of the import that were learnt before: those numbered below.

    Raises:
        FailedPreconditionError: `IMPORT_GAP`: rows before the first one are missing.
    """
    if command.first_row > row_count:
        raise FailedPreconditionError(
            Reason.IMPORT_GAP,
            f"row_position: expected at most {row_count}, the number of rows that this import has had, "
            f"got {command.first_row}",
        )
    return command.records[row_count - command.first_row :]
