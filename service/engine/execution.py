"""Execution of a batch: one model call, or several smaller ones if it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lacuna.errors import InferenceError
from lacuna.sample import Segmentation
from service.core.buckets import assemble
from service.core.lanes import QueuedWindow
from service.core.statistics import BatchRecord
from service.core.windows import crop
from service.engine.jobs import Task
from service.runtime.protocol import BatchOutput

Clock = Callable[[], float]
"""Function that returns the time in seconds."""


def run_windows(
    windows: Sequence[QueuedWindow],
    bucket: tuple[int, int],
    clock: Clock,
    on_call: Callable[[BatchRecord], None],
) -> Iterator[tuple[QueuedWindow, Segmentation | Exception]]:
    """Run windows in one model call, and in halves if it fails.

    Args:
        windows: Windows of one model, none larger than the bucket. Their payloads are tasks.
        bucket: Height and width in pixels that they are padded to.
        clock: Clock in seconds.
        on_call: Callback after each successful call, once its answers have been taken.

    Yields:
        Each window with its segmentation, of its own size, or with the exception of its call.
    """
    tasks: list[Task] = [window.payload for window in windows]
    model, probabilities = tasks[0].job.key
    began_s = clock()
    try:
        images, masks = assemble([crop(task.job.sample, task.tile.input) for task in tasks], bucket)
        assembled_s = clock()
        output = model.runtime.run(images, masks, probabilities=probabilities)
        ran_s = clock()
        _check_shapes(output, masks.shape, probabilities=probabilities)
    except Exception as error:  # noqa: BLE001 (told to the caller, whatever it is)
        if len(windows) > 1:
            middle = len(windows) // 2
            yield from run_windows(windows[:middle], bucket, clock, on_call)
            yield from run_windows(windows[middle:], bucket, clock, on_call)
            return
        yield windows[0], error
        return
    for index, (window, task) in enumerate(zip(windows, tasks, strict=True)):
        _, _, height, width = task.tile.input
        scores = output.probabilities
        yield (
            window,
            Segmentation(
                output.labels[index, :height, :width],
                None if scores is None else scores[index, :height, :width],
            ),
        )
    ended_s = clock()
    model.note_call(masks.size, ended_s - began_s)
    times_s = (assembled_s - began_s, ran_s - assembled_s, ended_s - ran_s)
    on_call(BatchRecord(model.name, model.version, len(windows), masks.size, *times_s))


def _check_shapes(output: BatchOutput, expected: tuple[int, ...], *, probabilities: bool) -> None:
    """Check the shapes of a model's output. Cropping a smaller array would give a wrong answer."""
    scores = output.probabilities
    if output.labels.shape != expected:
        raise InferenceError(
            f"the labels of a model must have shape {expected}; they have {output.labels.shape}"
        )
    if probabilities and (scores is None or scores.shape[:3] != expected):
        shape = None if scores is None else scores.shape
        raise InferenceError(
            f"the probabilities of a model must have shape {expected} and a class axis; "
            f"they have {shape}"
        )
