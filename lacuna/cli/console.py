"""Output of commands on the console."""

from __future__ import annotations

from rich.console import Console

_WIDE = 10_000
"""Width in characters where there is no terminal: no table is that wide."""


def make_console() -> Console:
    """Return a console that neither cuts nor wraps lines for a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)
