"""A loaded model, and the work that is being done with it."""

from __future__ import annotations

import asyncio

from service.engine.served import ServedModel


class Tenancy:
    """Knows who works with a model, so that it is not unloaded under their hands.

    On the event loop only.

    Args:
        model: that answers.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self._borrowed = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def lend(self) -> ServedModel:
        """Lend the model until it is given back."""
        self._borrowed += 1
        self._idle.clear()
        return self.model

    def take_back(self) -> None:
        """Have the model back from one who borrowed it."""
        self._borrowed -= 1
        if not self._borrowed:
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
