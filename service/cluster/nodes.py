"""Ray's door: what joins a cluster, and workers as processes on its nodes.

Everything else knows workers by the interface in `service.cluster.pool`.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from lacuna.errors import InferenceError, LacunaError
from service.cluster.pool import ClusterError, LostWorkerError
from service.cluster.worker import ClusterWorker

_MAX_SHOWN = 300

_LOSSES = (NodeDiedError, ObjectLostError, OutOfMemoryError, RayActorError, WorkerCrashedError)


class RayWorker:
    """Worker in a process of its own on some node.

    Args:
        actor: Ray's handle of a `ClusterWorker`.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the worker.

        Raises:
            LostWorkerError: if the process or its node is gone.
            LacunaError: if the method raises it.
            InferenceError: if the method raises anything else.
        """
        try:
            return await getattr(self._actor, method).remote(*arguments)
        except _LOSSES as error:
            raise LostWorkerError(_describe(error)) from None
        except RayTaskError as error:
            if isinstance(error.cause, LacunaError):
                raise error.cause from None
            raise InferenceError(
                f"a process of the cluster must not fail; it raised {_describe(error.cause)}"
            ) from None
        except RayError as error:
            raise ClusterError(f"the cluster must carry calls; {_describe(error)}") from None

    def end(self) -> None:
        """End the process, whatever it does."""
        if ray.is_initialized():
            ray.kill(self._actor)


class Cluster(NamedTuple):
    """Cluster that this process has joined.

    Attributes:
        cpus: CPUs of all nodes.
    """

    cpus: int

    @staticmethod
    def is_joined() -> bool:
        """Return True if this process has joined a cluster."""
        return bool(ray.is_initialized())

    @staticmethod
    def join(address: str) -> None:
        """Join a cluster, from any thread.

        Raises:
            ClusterError: if it does not answer, or this machine is no node of it.
        """
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"a Ray cluster must answer at {address}, and this machine must be one of its "
                f"nodes; {_describe(error)}"
            ) from None

    @classmethod
    def measure(cls) -> Cluster:
        """Return the cluster that this process has joined, with its nodes at the moment."""
        return cls(int(ray.cluster_resources().get("CPU", 0)))

    @staticmethod
    def leave() -> None:
        """Leave the cluster; the workers of this process end."""
        ray.shutdown()

    @staticmethod
    def share(value: Any) -> Any:
        """Put a value into the cluster's memory once, for the calls that it is an argument of."""
        return ray.put(value)

    @staticmethod
    def start_worker() -> RayWorker:
        """Start a worker, on the next CPU that is free."""
        actor = ray.remote(ClusterWorker)
        return RayWorker(actor.options(num_cpus=1, max_restarts=0, max_task_retries=0).remote())


def _describe(error: BaseException) -> str:
    """Return the kind of an error, and its first line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first[:_MAX_SHOWN]}" if first else type(error).__name__
