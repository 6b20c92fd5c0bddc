"""`modelkeep serve`: run a server here."""

import sys
from typing import Annotated

import typer

from modelkeep.cli.extras import need_server


def serve(
    data: Annotated[str | None, typer.Option(help="The data folder; made where it is new.")] = None,
    database: Annotated[
        str | None, typer.Option(help="sqlite, or postgresql://USER@HOST/DATABASE.")
    ] = None,
    blobs: Annotated[
        str | None, typer.Option(help="local, or s3://BUCKET/PREFIX?endpoint=URL&region=REGION.")
    ] = None,
    links: Annotated[
        str | None, typer.Option(help="auto: clients may reach an S3 store directly; or off.")
    ] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="Where to put checkpoints of the log: a folder, s3://…, off.")
    ] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes that serve; more than one need Postgres.")
    ] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT to serve gRPC at.")] = None,
    metrics_listen: Annotated[
        str | None, typer.Option(help="HOST:PORT to serve metrics to Prometheus at, or off.")
    ] = None,
    allow_open: Annotated[
        bool, typer.Option("--allow-open", help="Serve other machines without asking who calls.")
    ] = False,
    log_format: Annotated[str | None, typer.Option(help="auto, console or json.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    max_unary_calls: Annotated[
        str | None, typer.Option(help="Calls of one answer under way at once.")
    ] = None,
    max_uploads: Annotated[str | None, typer.Option(help="Uploads under way at once.")] = None,
    max_downloads: Annotated[str | None, typer.Option(help="Downloads under way at once.")] = None,
    max_watches: Annotated[str | None, typer.Option(help="Watches open at once.")] = None,
    idle_timeout_seconds: Annotated[
        str | None, typer.Option(help="How long a stream may wait for its client.")
    ] = None,
    drain_seconds: Annotated[
        str | None, typer.Option(help="How long calls under way may take to end at a stop.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="A TOML file with settings.")] = None,
) -> None:
    """Run a server: on this machine alone, its data in ./modelkeep-data, until Ctrl-C.

    Each option is also a variable, such as MODELKEEP_DATA, and a key of the file that --config
    names. docs/reference/configuration.md says more.
    """
    given = dict(locals())
    need_server("modelkeep serve")
    from modelkeep_server.__main__ import main

    arguments = []
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(flag)
        elif value is not None and value is not False:
            arguments.append(f"{flag}={value}")
    sys.exit(main(arguments))
