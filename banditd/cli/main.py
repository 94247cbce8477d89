"""banditd: the command."""

import os
import sys

# Before NumPy is loaded. Only the rare fits of an encoding use linear algebra, and idle threads of its library, which
# spin, would take the cores from the calls that are served meanwhile.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before gRPC is. Its own lines are no JSON, and what matters of them is said in ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import click

from banditd import __version__
from banditd.cli.config import config
from banditd.cli.export import export
from banditd.cli.health import health
from banditd.cli.history import import_history
from banditd.cli.inspect import inspect
from banditd.cli.leaderboard import leaderboard
from banditd.cli.models import models
from banditd.cli.policies import policies
from banditd.cli.serve import serve
from banditd.errors import BanditdError, DataLossError, StartupError

_DAMAGED, _FAILED = 4, 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Decides, for each prompt, which LLM should answer it, and learns from what came of it."""


for _command in (serve, health, config, inspect, leaderboard, policies, export, import_history, models):
    cli.add_command(_command)


def main() -> None:
    """Run the command; a refusal is one sentence on standard error and an exit code: 2 and 3 to start, 4 for damage."""
    try:
        cli()
    except StartupError as error:
        click.echo(f"banditd: {error.message}", err=True)
        sys.exit(error.exit_code)
    except BanditdError as error:
        click.echo(f"banditd: {error.message}", err=True)
        sys.exit(_DAMAGED if isinstance(error, DataLossError) else _FAILED)


if __name__ == "__main__":
    main()
