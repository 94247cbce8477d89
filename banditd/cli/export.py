"""banditd export: decisions, outcomes and comparisons to Parquet."""

from pathlib import Path

import click


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data directory.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder; made if it is missing.")
@click.option("--router", "router_id", help="Only this router.")
def export(data: Path, out: Path, router_id: str | None) -> None:
    """Write decisions.parquet, outcomes.parquet and comparisons.parquet; beside a running server, too."""
    try:
        from banditd.store.export import export_parquet
    except ImportError as error:
        raise click.ClickException("export needs pyarrow: pip install 'banditd[parquet]'") from error
    try:
        decisions, outcomes, comparisons = export_parquet(data, out, router_id)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror or error}") from error
    click.echo(f"{out}: {decisions} decisions, {outcomes} outcomes, {comparisons} comparisons")
