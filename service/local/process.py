"""Preparation of a process that serves."""

from __future__ import annotations

from service.assembly import choose_sizes
from service.config import Settings
from service.engine.allocator import tune_allocator
from service.engine.scheduling import set_batch_scheduling
from service.local.loading import keep_primitives


def prepare_process(settings: Settings) -> None:
    """Set what holds for the process as a whole: its memory, and the scheduling of its threads.

    Call it before TensorFlow is imported, and best before other threads exist.

    Args:
        settings: of the server.
    """
    tune_allocator()
    keep_primitives(choose_sizes(settings).primitives)
    set_batch_scheduling()
