"""Execution of a batch: one model call, or several smaller ones if it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lacuna.errors import InferenceError
from lacuna.out_of_memory import check_address_space, translate_shortage
from lacuna.sample import Segmentation
from lacuna.windows.window import crop
from service.core.buckets import assemble
from service.core.lanes import QueuedWindow
from service.core.statistics import BatchRecord
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
    try:
        call: _Call | None = _call(windows, bucket, clock)
    except Exception as error:  # noqa: BLE001 (told to the caller, whatever it is)
        # Without a traceback, if memory ran out: it would keep the arrays of the call.
        call, failure = None, translate_shortage(error, "run the model") or error
    if call is not None:
        yield from _take_answers(windows, call)
        _record(windows, call, clock(), on_call)
    elif len(windows) == 1:
        yield windows[0], failure
    else:
        del failure  # the arrays of the batch must not take memory from its halves
        middle = len(windows) // 2
        yield from run_windows(windows[:middle], bucket, clock, on_call)
        yield from run_windows(windows[middle:], bucket, clock, on_call)


class _Call(NamedTuple):
    """Finished call: its output, and the times at which its steps began and ended."""

    output: BatchOutput
    began_s: float
    assembled_s: float
    ran_s: float


def _call(windows: Sequence[QueuedWindow], bucket: tuple[int, int], clock: Clock) -> _Call:
    tasks: list[Task] = [window.payload for window in windows]
    model, probabilities = tasks[0].job.key
    began_s = clock()
    check_address_space()
    images, masks = assemble([crop(task.job.sample, task.tile.input) for task in tasks], bucket)
    assembled_s = clock()
    output = model.runtime.run(images, masks, probabilities=probabilities)
    ran_s = clock()
    _check_shapes(output, masks.shape, probabilities=probabilities)
    return _Call(output, began_s, assembled_s, ran_s)


def _take_answers(
    windows: Sequence[QueuedWindow], call: _Call
) -> Iterator[tuple[QueuedWindow, Segmentation]]:
    labels, scores = call.output
    for index, window in enumerate(windows):
        _, _, height, width = window.payload.tile.input
        yield (
            window,
            Segmentation(
                labels[index, :height, :width],
                None if scores is None else scores[index, :height, :width],
            ),
        )


def _record(
    windows: Sequence[QueuedWindow],
    call: _Call,
    ended_s: float,
    on_call: Callable[[BatchRecord], None],
) -> None:
    """Record what a call took, once its answers have been taken."""
    model, pixels = windows[0].payload.job.key.model, call.output.labels.size
    model.note_call(pixels, ended_s - call.began_s)
    times_s = (
        call.assembled_s - call.began_s,
        call.ran_s - call.assembled_s,
        ended_s - call.ran_s,
    )
    on_call(BatchRecord(model.name, model.version, len(windows), pixels, *times_s))


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
