"""banditd import: teaches a running server what was seen before it decided."""

from pathlib import Path

import click


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--router", "router_id", default="default", show_default=True, help="The router that learns it.")
@click.option(
    "--weight",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.0, 1.0, min_open=True),
    help="Pseudo-observations that each row counts for.",
)
@click.option("--import-id", default="", help="Names the import: rows under it count once. Default: from FILE's bytes.")
@click.option("--embedding-model", default="", help="Name of the model that made the embeddings.")
@click.option("--address", default="127.0.0.1:50051", show_default=True, help="Address and port of the server.")
@click.option("--timeout-ms", default=60_000, show_default=True, type=click.IntRange(1, 600_000), help="Time per call.")
def import_history(
    file: Path, router_id: str, weight: float, import_id: str, embedding_model: str, address: str, timeout_ms: int
) -> None:
    r"""Teach a router from FILE: JSON lines, or Parquet by its name (pip install 'banditd[parquet]').

    Each line is an object, each Parquet row has the same columns; what is null or absent is not known. A line is

    \b
    scores       embedding, scores: {MODEL: QUALITY or {quality, cost_usd, input_tokens, output_tokens, latency_ms}}
                 or embedding, model and those fields: one model
    comparison   embedding, model_a, model_b, winner (a, b, tie, both_bad); judge, strength, first
    decision     embedding, model, propensity and the fields of a score; probabilities: {MODEL: PROBABILITY}
    leaderboard  model, strength and quality or rating; no embedding; such lines in a row are one leaderboard

    all but the last with input_tokens (the prompt's length) and category, if they are known. All models are in the
    catalogue. After an error portions before it are learnt; with the same --import-id the command goes on from there.
    """
    # The client and its gRPC take a fifth of a second to import; the other verbs do without.
    from banditd.cli.history_file import HistoryFile
    from banditd_client import BanditdError, Client

    history = HistoryFile(file)
    named = import_id or history.digest()
    with Client(address, timeout=timeout_ms / 1000.0) as client:
        try:
            result = client.import_history(
                history.rows(),
                import_id=named,
                router=router_id,
                weight=weight,
                embedding_model=embedding_model,
            )
        except BanditdError as error:
            raise click.ClickException(
                f"{history.place_of(error.field) or address}: {error}; go on with --import-id {named}"
            ) from error
    click.echo(f"learnt {result.learnt_count}, learnt before {result.duplicate_count}")
