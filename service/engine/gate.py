"""The gate that requests pass before anything is done for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from service.core.admission import AdmissionPolicy, admit
from service.engine.dispatcher import Dispatcher
from service.errors import OverloadedError


class Gate:
    """Counts the requests that were taken in, and refuses what is too much.

    Args:
        dispatcher: whose queue they will wait in.
        policy: what the server takes upon itself.
    """

    def __init__(self, dispatcher: Dispatcher, policy: AdmissionPolicy | None = None) -> None:
        self._dispatcher = dispatcher
        self._policy = policy or AdmissionPolicy()
        self._pending = 0
        self._pending_bytes = 0

    @contextmanager
    def hold(self, body_bytes: int, timeout_s: float | None = None) -> Iterator[None]:
        """Take a request in for as long as the context lasts. On the event loop only.

        Args:
            body_bytes: that its body has.
            timeout_s: how long its caller will wait; None if for ever.

        Raises:
            OverloadedError: if there is too much to do already.
        """
        load = self._dispatcher.measure_load(self._pending, self._pending_bytes)
        refusal = admit(self._policy, load, body_bytes, timeout_s)
        if refusal is not None:
            raise OverloadedError(refusal.message, refusal.reason, refusal.retry_after_s)
        self._pending += 1
        self._pending_bytes += body_bytes
        try:
            yield
        finally:
            self._pending -= 1
            self._pending_bytes -= body_bytes
