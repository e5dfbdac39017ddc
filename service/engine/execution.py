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
from service.core.placement import Canvas
from service.core.statistics import BatchRecord
from service.engine.jobs import Task
from service.runtime.protocol import BatchOutput

Clock = Callable[[], float]
"""Function that returns the time in seconds."""


def run_windows(
    windows: Sequence[QueuedWindow],
    canvas: Canvas,
    clock: Clock,
    on_call: Callable[[BatchRecord], None],
) -> Iterator[tuple[QueuedWindow, Segmentation | Exception]]:
    """Run windows in one model call, and in halves if it fails.

    Args:
        windows: Windows of one model that fit onto the canvas. Their payloads are tasks.
        canvas: Canvas that they are padded to.
        clock: Clock in seconds.
        on_call: Callback after each successful call, once its answers have been taken.

    Yields:
        Each window with the segmentation of its output, or with the exception of its call.
    """
    try:
        call: _Call | None = _call(windows, canvas, clock)
    except Exception as error:  # noqa: BLE001 (told to the caller, whatever it is)
        # Without a traceback, if memory ran out: it would keep the arrays of the call.
        call, failure = None, translate_shortage(error, "run the model") or error
    if call is not None:
        yield from _take_answers(windows, call)
        _record(windows, canvas, call, clock(), on_call)
    elif len(windows) == 1:
        yield windows[0], failure
    else:
        del failure  # the arrays of the batch must not take memory from its halves
        middle = len(windows) // 2
        yield from run_windows(windows[:middle], canvas, clock, on_call)
        yield from run_windows(windows[middle:], canvas, clock, on_call)


class _Call(NamedTuple):
    """Finished call: its output, and the times at which its steps began and ended."""

    output: BatchOutput
    began_s: float
    assembled_s: float
    ran_s: float


def _call(windows: Sequence[QueuedWindow], canvas: Canvas, clock: Clock) -> _Call:
    tasks: list[Task] = [window.payload for window in windows]
    model, probabilities, _ = tasks[0].job.key
    began_s = clock()
    check_address_space()
    images, masks = assemble(
        [crop(task.job.sample, task.placement.seen) for task in tasks],
        canvas.size,
        corners=[task.placement.corner for task in tasks],
    )
    assembled_s = clock()
    # Most runtimes compute no strips, and need not know of them.
    options = {"keep": canvas.keep} if canvas.strips is None else {"on_strips": True}
    output = model.runtime.run(images, masks, probabilities=probabilities, **options)
    ran_s = clock()
    _check_shapes(output, (len(tasks), *canvas.kept_size), probabilities=probabilities)
    return _Call(output, began_s, assembled_s, ran_s)


def _take_answers(
    windows: Sequence[QueuedWindow], call: _Call
) -> Iterator[tuple[QueuedWindow, Segmentation]]:
    labels, scores = call.output
    for index, window in enumerate(windows):
        rows, columns = window.payload.placement.answer.slices
        yield (
            window,
            Segmentation(
                labels[index, rows, columns],
                None if scores is None else scores[index, rows, columns],
            ),
        )


def _record(
    windows: Sequence[QueuedWindow],
    canvas: Canvas,
    call: _Call,
    ended_s: float,
    on_call: Callable[[BatchRecord], None],
) -> None:
    """Record what a call took, once its answers have been taken."""
    model = windows[0].payload.job.key.model
    model.note_call(canvas, len(windows), ended_s - call.began_s)
    times_s = (
        call.assembled_s - call.began_s,
        call.ran_s - call.assembled_s,
        ended_s - call.ran_s,
    )
    pixels = len(windows) * canvas.computed_pixels
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
