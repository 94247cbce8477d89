"""banditd serve: run the server."""

import asyncio
import resource
import sys
from pathlib import Path

import click
import msgspec

from banditd.config.load import load_config
from banditd.config.schema import Config
from banditd.telemetry.log import configure_logging


def overlaid(config: Config, *, data: Path | None, listen: str | None) -> Config:
    """Return *config* with what the command line says in the place of its own."""
    if data is not None:
        config = msgspec.structs.replace(config, store=msgspec.structs.replace(config.store, data=str(data)))
    if listen is not None:
        config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, listen=listen))
    return config


@click.command()
@click.option("--config", "path", type=click.Path(path_type=Path), help="TOML file; without it the defaults hold.")
@click.option("--data", type=click.Path(path_type=Path), help="Data directory; wins over the file.")
@click.option("--listen", help="Address and port, port 0 for a free one; wins over the file.")
def serve(path: Path | None, data: Path | None, listen: str | None) -> None:
    """Run the server until SIGTERM."""
    config = overlaid(load_config(path), data=data, listen=listen)
    configure_logging(config.log.level, config.log.format)
    # A core dump would hold embeddings and the key of decision ids.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Numba and gRPC take a second to import; the other verbs do without.
    from banditd.server.app import App, check_routers
    from banditd.server.garbage import settle_garbage

    check_routers(config)
    sys.exit(asyncio.run(App(config).run(lambda _port: settle_garbage())))
