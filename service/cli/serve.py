"""`lacuna serve`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from service.cli.loading import load_saved_model
from service.cli.logs import configure_logging


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 8000]")
@click.option(
    "--model-repository",
    type=click.Path(path_type=Path),
    help="Folder of <model>/<version>/saved_model.pb.  [default: the demo's]",
)
@click.option("--models", help="Names of the models to serve, with commas.  [default: all]")
def serve(
    host: str | None, port: int | None, model_repository: Path | None, models: str | None
) -> None:
    """Serve models over HTTP until SIGTERM or Ctrl-C.

    Every option can also be given by the environment, as LACUNA_HOST, LACUNA_PORT,
    LACUNA_MODEL_REPOSITORY and so on; an option goes before it.

    The port opens at once. /readyz says 503 until every model is loaded and checked, then 200.

    \b
    curl -F image=@scene.png -F mask=@mask.png -H 'Accept: image/png' \\
        http://127.0.0.1:8000/v1/segment -o labels.png
    """
    import uvicorn  # noqa: PLC0415 (an extra, as is all of this; and --help is to answer at once)

    from service.assembly import assemble_parts  # noqa: PLC0415
    from service.config import read_settings  # noqa: PLC0415
    from service.web.app import make_app  # noqa: PLC0415

    settings = read_settings(host=host, port=port, model_repository=model_repository, models=models)
    configure_logging(settings.log_format)
    parts = assemble_parts(settings, load_saved_model)
    # Having drained, uvicorn raises the signal again for whoever was there before it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        make_app(parts),
        host=settings.host,
        port=settings.port,
        log_config=None,  # ours is set
        access_log=False,  # ours says more
        server_header=False,
        proxy_headers=False,  # nobody asks for the client's address
        timeout_graceful_shutdown=round(settings.drain_s),
    )
