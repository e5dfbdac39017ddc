"""Progress bars of `lacuna segment`, on the standard error of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from lacuna.cli.segment_plan import ImagePlan
    from lacuna.scenes.summary import SceneProgress


class _Rate(ProgressColumn):
    """Column of megapixels a second."""

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate / 1e6:.1f} MP/s", style="progress.data.speed")


class ImageBar(NamedTuple):
    """Progress bar of images.

    Attributes:
        begin: function that is called when images can be segmented.
        advance: function that is called for each image that is done.
    """

    begin: Callable[[], None]
    advance: Callable[[], None]


@contextmanager
def show_images(count: int, preparation: str) -> Iterator[ImageBar]:
    """Show how many of the images are done.

    Args:
        count: number of images.
        preparation: what is done before images can be segmented.
    """
    with _start(*Progress.get_default_columns()[:2], MofNCompleteColumn()) as bar:
        task = bar.add_task(preparation, total=count)
        yield ImageBar(
            lambda: bar.update(task, description="segmenting"), lambda: bar.advance(task)
        )


@contextmanager
def show_scenes(preparation: str) -> Iterator[Callable[[ImagePlan, SceneProgress], None]]:
    """Show how far each scene is.

    Args:
        preparation: what is done before scenes can be segmented.

    Yields:
        Function that is called after each window.
    """
    with _start(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), _Rate()
    ) as bar:
        tasks = {}
        first = bar.add_task(preparation, total=None)

        def show(plan: ImagePlan, done: SceneProgress) -> None:
            bar.update(first, visible=False)
            if plan not in tasks:
                # What an earlier run has done is not counted for the rate.
                name, total = plan.image.name, done.all_pixels
                tasks[plan] = bar.add_task(name, total=total, completed=done.pixels)
            bar.update(tasks[plan], completed=done.pixels)

        yield show


def _start(*columns: ProgressColumn | str) -> Progress:
    console = Console(stderr=True)
    return Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
