"""banditd config: show and validate the configuration."""

from pathlib import Path

import click

from banditd.config.load import load_config
from banditd.config.reference import to_toml


@click.group()
def config() -> None:
    """Show or validate the configuration."""


@config.command()
@click.option("--config", "path", type=click.Path(path_type=Path), help="TOML file; without it the defaults.")
@click.option("--plain", is_flag=True, help="Leave out what each key means.")
def show(path: Path | None, plain: bool) -> None:
    """Print the configuration as it would hold, as TOML."""
    click.echo(to_toml(load_config(path), annotated=not plain), nl=False)


@config.command()
@click.option("--config", "path", type=click.Path(path_type=Path), required=True, help="TOML file.")
def validate(path: Path) -> None:
    """Check a file; exit with 2 and one sentence if something is wrong."""
    loaded = load_config(path)
    from banditd.server.app import check_routers

    check_routers(loaded)
    click.echo(f"{path}: valid")
