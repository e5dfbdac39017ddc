"""Replica of the server, for whatever has its port and passes it requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lacuna.errors import NotReadyError
from service.assembly import assemble_services, fetch_models
from service.cluster.autoscaling import BUSY, WAITING
from service.config import Settings, read_settings
from service.engine.lifecycle.repository import ModelRepository
from service.local.loading import load_model
from service.local.process import prepare_process
from service.logs import configure_logging
from service.web.app import make_app

if TYPE_CHECKING:
    from fastapi import FastAPI


class Replica:
    """Replica of the server. It takes requests once its models are loaded.

    Args:
        cpus: CPUs that it may use.

    Raises:
        ConfigurationError: if the server could not start.
    """

    def __init__(self, cpus: int) -> None:
        settings = limit_threads(read_settings(), cpus)
        prepare_process(settings)
        configure_logging(settings.log_format, settings.log_level)
        self._services = assemble_services(fetch_models(settings), load_model)

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Load the models, and return the application.

        Raises:
            NotReadyError: if a model cannot be loaded. Ray Serve tries again, and keeps the
                replicas that it has.
        """
        await load_models(self._services.repository)
        return make_app(self._services)

    async def check_health(self) -> None:
        """Check that the engine makes progress; Ray Serve replaces a replica that does not.

        Raises:
            NotReadyError: if a call of a model hangs.
        """
        hang_s = self._services.watchdog.find_hang_s()
        if hang_s is not None:
            raise NotReadyError(f"a call of a model must end; one has run for {hang_s:.0f} s")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the statistics that `service.cluster.autoscaling` decides by."""
        dispatcher = self._services.exchange.pipeline.segmenter.dispatcher
        running = dispatcher.measure_running()
        return {
            WAITING: dispatcher.sum_waiting_s() / running.workers,
            BUSY: 1 - running.idle / running.workers,
        }


async def load_models(repository: ModelRepository) -> None:
    """Load all models.

    Raises:
        NotReadyError: if one cannot be loaded, or there are none.
    """
    await repository.load_all()
    if not repository.is_ready:
        reasons = [
            f"{status.name}/{status.version}: {status.reason}"
            for status in repository.statuses
            if status.reason
        ]
        raise NotReadyError(f"all models must load; {'; '.join(reasons) or 'there are none'}")


def limit_threads(settings: Settings, cpus: int) -> Settings:
    """Return settings with a worker for each CPU, unless they name a number.

    Without it, each replica of a node would take all cores of the node.
    """
    if settings.engine.workers is not None:
        return settings
    threads = settings.engine.threads or 1
    engine = settings.engine.model_copy(
        update={"workers": max(cpus // threads, 1), "threads": threads}
    )
    return settings.model_copy(update={"engine": engine})
