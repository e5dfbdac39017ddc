"""`lacuna serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from service.cli.loading import load_saved_model
from service.cli.logs import configure_logging


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 for any free one.  [default: 8000]")
@click.option(
    "--model-repository",
    type=click.Path(path_type=Path),
    help="Folder with <model>/<version>/saved_model.pb.  [default: the demo model]",
)
@click.option("--models", help="Models to serve, separated by commas.  [default: all]")
@click.option(
    "--api-keys-file",
    type=click.Path(path_type=Path),
    help="File with the API keys of clients, one per line.  [default: no keys; requests need none]",
)
@click.option(
    "--admin-key-file",
    type=click.Path(path_type=Path),
    help="File with the key for loading and unloading models by request.  "
    "[default: none; such requests are refused]",
)
@click.option(
    "--metrics-port",
    type=int,
    help="Separate port for /metrics.  [default: the port of the server]",
)
@click.option("--docs/--no-docs", default=None, help="Serve /docs or not.  [default: --docs]")
def serve(
    host: str | None,
    port: int | None,
    model_repository: Path | None,
    models: str | None,
    api_keys_file: Path | None,
    admin_key_file: Path | None,
    metrics_port: int | None,
    docs: bool | None,
) -> None:
    """Serve models over HTTP until SIGTERM or Ctrl-C.

    Every option is also an environment variable: LACUNA_HOST, LACUNA_PORT, LACUNA_MODEL_REPOSITORY
    and so on. Options override variables. `lacuna config` lists all variables.

    The port opens immediately. /readyz returns 503 until every model is loaded and checked, then
    200. After SIGTERM or Ctrl-C the server answers all admitted requests, then ends. A second
    signal ends it immediately.

    \b
    curl -F image=@scene.png -F mask=@mask.png -H 'Accept: image/png' \\
        http://127.0.0.1:8000/v1/segment -o labels.png
    """
    # Imported here, so that --help stays fast.
    from service.assembly import (  # noqa: PLC0415
        assemble_services,
        make_server,
        warn_of_open_access,
    )
    from service.config import read_settings  # noqa: PLC0415
    from service.engine.scheduling import set_batch_scheduling  # noqa: PLC0415

    settings = read_settings(
        host=host,
        port=port,
        model_repository=model_repository,
        models=models,
        api_keys_file=api_keys_file,
        admin_key_file=admin_key_file,
        metrics_port=metrics_port,
        docs=docs,
    )
    set_batch_scheduling()
    configure_logging(settings.log_format)
    services = assemble_services(settings, load_saved_model)
    warn_of_open_access(settings, services)
    server = make_server(settings, services, end=os._exit)
    server.run()
    sys.exit(int(server.has_cut_off))
