"""Decisions as pure functions of values: no clock, no loop, no thread, no I/O."""
