"""The bar that shows how far a client is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_progress(total: int | None, *, enabled: bool) -> Iterator[Callable[[], None]]:
    """Draw a progress bar on the standard error for as long as the context lasts.

    Args:
        total: number of images; None if it is not known.
        enabled: whether to draw it.

    Yields:
        A function to call for each image that is done, from any thread.
    """
    if not enabled:
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 (not needed otherwise)
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("segmenting", total=total)
        yield lambda: bar.advance(task)
