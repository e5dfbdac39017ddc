"""Reference count of a loaded model."""

from __future__ import annotations

import asyncio

from service.engine.served import ServedModel


class ModelReferences:
    """Count of the requests that use a model, so that it is not unloaded during one.

    Used on the event loop only.

    Args:
        model: Model that serves.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self._leases = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def acquire(self) -> ServedModel:
        """Add a reference and return the model."""
        self._leases += 1
        self._idle.clear()
        return self.model

    def release(self) -> None:
        """Release a reference."""
        self._leases -= 1
        if not self._leases:
            self._idle.set()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until no request uses the model.

        Args:
            timeout_s: Longest wait, in seconds.

        Returns:
            True if the model is unused in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
