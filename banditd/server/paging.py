"""Pages of lists."""

from collections.abc import Sequence
from typing import Final, TypeVar

from banditd.errors import InvalidArgumentError, Reason

_T = TypeVar("_T")
_TOKEN_DIGITS_MAX: Final = 18


def page_of(items: Sequence[_T], page_size: int, page_token: str, page_size_max: int) -> tuple[Sequence[_T], str]:
    """Return a page and the token of the next one, empty for the last.

    Args:
        items: All of them, in a lasting order.
        page_size: As asked for; 0 means the most.
        page_token: As the page before gave it; empty means the first page.
        page_size_max: The most.

    Raises:
        InvalidArgumentError: The size is out of range or the token is none that was given.
    """
    if not 0 <= page_size <= page_size_max:
        raise InvalidArgumentError(Reason.OUT_OF_RANGE, "page_size", f"0..{page_size_max}", f"{page_size}")
    start = 0
    if page_token:
        # The length first: Python refuses to read a number of thousands of digits.
        is_number = len(page_token) <= _TOKEN_DIGITS_MAX and page_token.isascii() and page_token.isdigit()
        if not (is_number and int(page_token) <= len(items)):
            raise InvalidArgumentError(
                Reason.BAD_PAGE_TOKEN, "page_token", "a token of the page before", "another value"
            )
        start = int(page_token)
    end = start + (page_size or page_size_max)
    return items[start:end], str(end) if end < len(items) else ""
