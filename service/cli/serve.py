"""`lacuna serve`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from service.engine.allocator import load_jemalloc
from service.local.loading import load_model
from service.logs import configure_logging
from service.signals import handle_signal

log = logging.getLogger(__name__)


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 8000]")
@click.option("--grpc-port", help="Port for gRPC, or off.  [default: 8001]")
@click.option(
    "--model-repository",
    type=click.Path(path_type=Path),
    help="Folder of <model>/<version>/saved_model.pb or model.onnx.  [default: the demo's]",
)
@click.option("--models", help="Names of the models to serve, separated by commas.  [default: all]")
@click.option(
    "--api-keys-file",
    type=click.Path(path_type=Path),
    help="File of API keys, one per line. Requests then need one.  [default: no key needed]",
)
@click.option(
    "--admin-key-file",
    type=click.Path(path_type=Path),
    help="File of the key for loading and unloading models.  [default: none; both are refused]",
)
@click.option(
    "--metrics-port",
    type=int,
    help="Separate port for /metrics.  [default: the port of the server]",
)
@click.option("--docs/--no-docs", default=None, help="Whether to serve /docs.  [default: yes]")
def serve(
    host: str | None,
    port: int | None,
    grpc_port: str | None,
    model_repository: Path | None,
    models: str | None,
    api_keys_file: Path | None,
    admin_key_file: Path | None,
    metrics_port: int | None,
    docs: bool | None,
) -> None:
    """Serve models over HTTP and gRPC until SIGTERM or Ctrl-C.

    Environment variables set the same options: LACUNA_HOST, LACUNA_PORT, LACUNA_MODEL_REPOSITORY
    and so on. Options of the command line take precedence.

    The port opens at once. /readyz answers 503 until every model is loaded and checked, then 200.
    On SIGTERM or Ctrl-C the server finishes the requests it has accepted, then ends. A second
    signal ends it at once. On SIGHUP it reads the files of keys anew.

    \b
    curl -F image=@scene.png -F mask=@mask.png -H 'Accept: image/png' \\
        http://127.0.0.1:8000/v1/segment -o labels.png
    """
    options = {
        "host": host,
        "port": port,
        "grpc_port": grpc_port,
        "model_repository": model_repository,
        "models": models,
        "api_keys_file": api_keys_file,
        "admin_key_file": admin_key_file,
        "metrics_port": metrics_port,
        "docs": docs,
    }
    # Another program that calls this command may have done something that it would do again.
    if Path(sys.argv[0]).name == "lacuna":
        load_jemalloc()
    # Until the server handles them. The files of keys are not read yet, or were just read.
    with handle_signal("SIGHUP", signal.SIG_IGN), handle_signal("SIGINT", _end_at_once):
        status = _run(options)
    sys.exit(status)


def _end_at_once(number: int, _: FrameType | None) -> NoReturn:
    """End the process. Nobody was promised anything, so nothing is said.

    Code that is imported meanwhile may swallow a KeyboardInterrupt.
    """
    os._exit(128 + number)


def _run(options: Mapping[str, object]) -> int:
    """Serve until a signal, and return the exit status."""
    # All of this is an extra; and --help is to answer at once.
    from service.assembly import (  # noqa: PLC0415
        assemble_services,
        fetch_models,
        make_server,
        warn_of_open_access,
    )
    from service.config import list_injected_variables, read_settings  # noqa: PLC0415
    from service.local.process import prepare_process  # noqa: PLC0415

    settings = read_settings(**options)
    prepare_process(settings)
    configure_logging(settings.log_format, settings.log_level)
    ignored = list_injected_variables()
    if ignored:
        log.debug("variables of Kubernetes or Docker are ignored", extra={"variables": ignored})
    settings = fetch_models(settings)
    services = assemble_services(settings, load_model)
    warn_of_open_access(settings, services)
    server = make_server(settings, services, end=os._exit)
    server.run()
    return int(server.has_cut_off)
