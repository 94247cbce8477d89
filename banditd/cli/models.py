"""banditd models: the catalogue of a running server."""

from pathlib import Path
from typing import Final

import click

_FORMATS: Final = ("auto", "litellm-prices", "litellm-config")


@click.group()
def models() -> None:
    """Work on the models of a running server."""


@models.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(_FORMATS), default="auto", show_default=True, help="What FILE is.")
@click.option(
    "--prices", type=click.Path(path_type=Path), help="LiteLLM's price table, for what a configuration omits."
)
@click.option("--only", multiple=True, metavar="PATTERN", help="Only models of this name; * and ? match. Repeatable.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--address", default="127.0.0.1:50051", show_default=True, help="Address and port of the server.")
@click.option("--timeout-ms", default=5000, show_default=True, type=click.IntRange(1, 600_000), help="Time per call.")
def import_(
    file: Path, form: str, prices: Path | None, only: tuple[str, ...], dry_run: bool, address: str, timeout_ms: int
) -> None:
    """Create and update models from a price table or a proxy configuration of LiteLLM.

    Prices, context windows and the tags provider:…, mode:… and supports:… are taken over; other tags, states and
    guesses stay as they are, and so does what FILE says nothing of. Models that FILE does not name are left alone.
    """
    # The client and its gRPC take a fifth of a second to import; the other verbs do without.
    from banditd.cli.importing import import_models, read
    from banditd_client import BanditdError, Client

    reading = read(file, form, prices, only)
    with Client(address, timeout=timeout_ms / 1000.0) as client:
        try:
            changes = import_models(client, file, reading, dry_run=dry_run)
        except BanditdError as error:
            raise click.ClickException(f"{address}: {error}") from error
    created = sum(old is None for old, _ in changes)
    updated = sum(old is not None and old != new for old, new in changes)
    verb = "would be " if dry_run else ""
    click.echo(f"{verb}created {created}, {verb}updated {updated}, unchanged {len(changes) - created - updated}")
    for why, count in sorted(reading.skipped.items()):
        click.echo(f"skipped {count}: {why}")
