"""Contract check: whether a model may be padded, batched and tiled without changing its output."""
