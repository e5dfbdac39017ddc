"""Interface of a listener that the server for HTTP starts and ends with itself."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Listener for another protocol, in the event loop of the server for HTTP."""

    def open(self) -> None:
        """Check that the port can be opened, before anything else is done.

        Raises:
            ConfigurationError: if it cannot be opened.
        """
        ...

    async def start(self) -> None:
        """Begin to accept requests."""
        ...

    def drain(self) -> None:
        """End what waits for further requests, because the server drains."""
        ...

    async def stop(self, grace_s: float) -> bool:
        """Close the port, and return when all requests have ended.

        Args:
            grace_s: seconds after which they are cut off.

        Returns:
            True if one was cut off.
        """
        ...
