"""Decisions as pure functions of values, without clock, event loop, thread or I/O."""
