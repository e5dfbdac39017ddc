"""The run over a scene's windows: read, segment and write, each beside the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from lacuna.geo.layers import Layer
from lacuna.geo.pieces import write_piece
from lacuna.planes import needs_probabilities
from lacuna.sample import INVALID_LABEL, Sample, Segmentation
from lacuna.scenes.journal import Journal, WindowRecord
from lacuna.scenes.layers import LABELS, make_planes
from lacuna.scenes.reading import Part, SceneReader
from lacuna.scenes.runner import SceneRunner
from lacuna.windows.window import Tile

_EMPTY = WindowRecord((), is_familiar=True)


@dataclass(frozen=True)
class SceneRun:
    """Run over the windows of a scene.

    Attributes:
        reader: reader of the windows.
        runner: what segments them.
        layers: layers to write, by name.
        journal: journal of what is done.
        on_done: called with each window that is done, on the event loop.
    """

    reader: SceneReader
    runner: SceneRunner
    layers: dict[str, Layer]
    journal: Journal
    on_done: Callable[[Tile], object]

    async def run(self, tiles: Iterable[tuple[Tile, Part]]) -> None:
        """Segment windows. At the first error, no further one is begun.

        Args:
            tiles: windows, each with the part of the scene that it belongs to.

        Raises:
            LacunaError: the first error.
            OSError: if a piece or the journal cannot be written.
        """
        seats = asyncio.Semaphore(self.runner.concurrency)
        # One thread reads ahead; the other writes, and never waits for it.
        with ThreadPoolExecutor(1, "read") as reading, ThreadPoolExecutor(1, "write") as writing:
            loop = asyncio.get_running_loop()

            async def work(tile: Tile, sample: Sample) -> None:
                try:
                    names = list(self.layers)
                    segmentation = await self.runner.segment(
                        sample,
                        tile.output.move(-tile.input.top, -tile.input.left),
                        probabilities=needs_probabilities(names),
                    )
                    record = await loop.run_in_executor(
                        writing, self._write, names, tile, sample, segmentation
                    )
                    self._note(tile, record)
                finally:
                    seats.release()

            try:
                async with asyncio.TaskGroup() as group:
                    for tile, part in tiles:
                        await seats.acquire()
                        sample = await loop.run_in_executor(reading, self.reader.read, tile, part)
                        if sample is None:
                            self._note(tile, _EMPTY)
                            seats.release()
                        else:
                            group.create_task(work(tile, sample))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None

    def _note(self, tile: Tile, record: WindowRecord) -> None:
        self.journal.note(tile.output, record)
        self.on_done(tile)

    def _write(
        self, names: Sequence[str], tile: Tile, sample: Sample, segmentation: Segmentation
    ) -> WindowRecord:
        model = self.runner.model
        planes = make_planes(names, tile, sample, segmentation, model.receptive_radius)
        for name, layer in self.layers.items():
            write_piece(self.journal.name_piece(tile.output, name), planes[name], layer)
        counts = np.bincount(planes[LABELS].ravel(), minlength=INVALID_LABEL + 1)
        familiar = self.runner.familiar
        is_familiar = familiar is None or not familiar.check(sample)
        return WindowRecord(tuple(counts[: len(model.classes)].tolist()), is_familiar)
