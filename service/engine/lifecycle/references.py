"""A loaded model, and the work that is being done with it."""

from __future__ import annotations

import asyncio

from service.engine.served import ServedModel


class ModelReferences:
    """Count of the requests that use a model, so that it is not unloaded under them.

    On the event loop only.

    Args:
        model: that answers.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self._leases = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def acquire(self) -> ServedModel:
        """Take a reference to the model, until it is released."""
        self._leases += 1
        self._idle.clear()
        return self.model

    def release(self) -> None:
        """Release a reference."""
        self._leases -= 1
        if not self._leases:
            self._idle.set()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until nobody works with the model.

        Returns:
            Whether that came about in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
