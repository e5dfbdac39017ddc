"""Workers of a cluster with one model: the same on all nodes, or none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from lacuna.distribution import VERSION
from lacuna.errors import InferenceError
from lacuna.plugins import ClusterOptions
from service.cluster.connection import connect
from service.cluster.model_files import read_model_files
from service.cluster.pool import ClusterError, Worker, WorkerPool
from service.cluster.worker import WorkerModel, list_versions
from service.platforms import DEMO_REPOSITORY


class ModelWorkers(NamedTuple):
    """Workers that have a model.

    Attributes:
        pool: pool of the workers.
        model: model of all of them.
    """

    pool: WorkerPool
    model: WorkerModel


@asynccontextmanager
async def open_workers(
    options: ClusterOptions,
    model_repository: Path | None,
    model: str | None,
    version: str | None,
) -> AsyncIterator[ModelWorkers]:
    """Start workers on a cluster, and yield them once the first one has the model.

    Args:
        options: the cluster, and the workers on it.
        model_repository: folder of `<model>/<version>/` on this machine; None for the demo's.
        model: name of the model; None for the default one, or the only one.
        version: version of the model; None for the highest.

    Raises:
        ClusterError: if the cluster does not answer, or its nodes differ from this machine or from
            each other.
        LacunaError: if the model cannot be read or loaded.
    """
    files = read_model_files(model_repository or DEMO_REPOSITORY, model, version)
    async with connect(options.address) as cluster:
        shared = cluster.share(files)
        models: list[WorkerModel] = []

        async def open_model(worker: Worker) -> None:
            models.append(await worker.call("open", shared))
            check_same(models[0], models[-1])

        pool = WorkerPool(
            cluster.start_worker,
            check_versions,
            open_model,
            options.workers or cluster.cpus,
            options.patience_s,
        )
        async with pool:
            await pool.wait_for_workers()
            yield ModelWorkers(pool, models[0])


async def check_versions(worker: Worker) -> None:
    """Hold a worker to the versions of this process.

    Raises:
        ClusterError: if one differs.
        LostWorkerError: if the worker is gone.
    """
    here = list_versions()
    try:
        there: dict[str, str] = await worker.call("list_versions")
    except InferenceError as error:
        raise ClusterError(
            f"all nodes of a cluster must have lacuna-segmentation[ray] {VERSION}; one cannot run "
            f"it: {error}"
        ) from None
    for name, version in here.items():
        if there.get(name) != version:
            raise ClusterError(
                f"all nodes of a cluster must have {name} {version}, as this machine has; one has "
                f"{there.get(name, 'none')}"
            )


def check_same(model: WorkerModel, other: WorkerModel) -> None:
    """Hold two workers to the same model and the same arithmetic.

    Raises:
        ClusterError: if they differ.
    """
    if model.model != other.model:
        raise ClusterError(
            "all nodes of a cluster must find the same model; its contract holds on some alone"
        )
    if model.digest != other.digest:
        raise ClusterError(
            "all nodes of a cluster must compute the same bits, and two compute others for the "
            "same image; use nodes with processors of one kind"
        )
