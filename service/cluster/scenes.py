"""Windows of scenes on a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lacuna.errors import SceneError
from lacuna.plugins import ClusterOptions
from lacuna.sample import Sample, Segmentation
from lacuna.windows.window import Window
from service.cluster.model_workers import ModelWorkers, open_workers

if TYPE_CHECKING:
    from lacuna.appearance.comparison import FamiliarRange
    from lacuna.scenes.runner import SceneModel


class ClusterRunner:
    """Runner of a scene's windows on a cluster; see `SceneRunner`.

    Args:
        workers: workers with the model.

    Attributes:
        model: model that it runs.
        familiar: range of values that the model is familiar with; None if it is not known.
        concurrency: number of windows that keep it busy.
    """

    def __init__(self, workers: ModelWorkers) -> None:
        self.model: SceneModel = workers.model.model
        self.familiar: FamiliarRange | None = workers.model.familiar
        # The next window is read while all others are on their way.
        self.concurrency = workers.pool.concurrency + 1
        self._pool = workers.pool

    async def segment(self, sample: Sample, keep: Window, *, probabilities: bool) -> Segmentation:
        """Segment a window; see `SceneRunner`."""
        answer: Segmentation = await self._pool.call("segment_window", sample, keep, probabilities)
        if answer.labels.shape != (keep.height, keep.width):
            raise SceneError(
                f"the answer for a window must have its size, {keep.height}×{keep.width}; it has "
                f"{answer.labels.shape}"
            )
        return answer

    async def confirm(self) -> None:
        """Do nothing: the workers have the model from here, and cannot replace it."""


@asynccontextmanager
async def open_runner(
    options: ClusterOptions,
    model_repository: Path | None,
    model: str | None,
    version: str | None,
) -> AsyncIterator[ClusterRunner]:
    """Start workers with a model on a cluster, and yield what runs them on windows.

    Arguments and errors are those of `open_workers`.
    """
    async with open_workers(options, model_repository, model, version) as opened:
        yield ClusterRunner(opened)
