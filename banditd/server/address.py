"""The address to listen on."""

from typing import Final

from banditd.errors import Reason, StartupError

_PORT_MAX: Final = 65_535


def check_address(address: str) -> None:
    """Raise StartupError unless *address* is HOST:PORT or the path of a Unix socket.

    gRPC itself takes the rest of a port divided by 65,536, and would listen where nobody asked for it.
    """
    if address.startswith(("unix:", "unix-abstract:")):
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and len(port) <= len(str(_PORT_MAX)) and int(port) <= _PORT_MAX):
        raise StartupError(
            Reason.LISTEN, f"server.listen: expected HOST:PORT with a port of 0..{_PORT_MAX}, got {address!r}"
        )
