"""Batches that are drawn in advance, while a network is trained on others."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_AHEAD = 4


def draw_ahead(batches: Any) -> Any:
    """Return a `tf.data.Dataset` of the same batches, which draws the next ones in advance."""
    options = tf.data.Options()
    # There is nothing to tune, and a training would wait for the tuner's thread at its end: that
    # thread sleeps for up to a minute.
    options.autotune.enabled = False
    return batches.prefetch(_AHEAD).with_options(options)
