"""Reservation of an admitted request: its body, its announced work, and memory for its images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from service.core.memory import Claim

if TYPE_CHECKING:
    from service.engine.admission_gate import AdmissionGate


class Reservation:
    """Context in which an admitted request counts as pending.

    Args:
        gate: Gate that admitted the request.
        client: Client of the request.
        body_bytes: Bytes of the body that are counted.

    Attributes:
        announced_s: Predicted seconds of its work that is not in the queue yet, for one worker.
        parse_bytes: Bytes of memory that the parsed body takes, besides the body.
    """

    __slots__ = ("_claims", "_gate", "announced_s", "body_bytes", "client", "parse_bytes")

    def __init__(self, gate: AdmissionGate, client: str, body_bytes: int) -> None:
        self._gate = gate
        self.client = client
        self.body_bytes = body_bytes
        self.announced_s = 0.0
        self.parse_bytes = 0
        self._claims: list[Claim] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.withdraw()
        for claim in self._claims:
            claim.release()
        self._gate.release(self)

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that the request holds for its images, besides its body."""
        return sum([claim.held_bytes for claim in self._claims])

    def grow(self, body_bytes: int) -> None:
        """Count the request with this many bytes, if it is counted with fewer.

        Raises:
            OverloadedError: if the bodies of all pending requests, or those of the client, would
                have too many bytes.
        """
        if body_bytes > self.body_bytes:
            self._gate.add_bytes(self, body_bytes - self.body_bytes)

    def announce(self, work_s: float, timeout_s: float | None = None) -> None:
        """Admit the request again, now that its work is known, and count it until `withdraw`.

        Args:
            work_s: Predicted seconds for one worker.
            timeout_s: Timeout of the request, in seconds; None for none.

        Raises:
            OverloadedError: if the predicted wait is too long.
        """
        self._gate.check_wait(self.client, timeout_s)
        self._gate.count_announced(self.client, work_s)
        self.announced_s = work_s

    def withdraw(self) -> None:
        """Stop counting the announced work, because it is in the queue or will not be."""
        if self.announced_s:
            self._gate.count_announced(self.client, -self.announced_s)
            self.announced_s = 0.0

    async def hold(self, memory_bytes: int) -> None:
        """Hold more memory for images; wait until it is free.

        Args:
            memory_bytes: Bytes for images, labels and the answer, besides what is held.

        Raises:
            ImageTooLargeError: if the server never has so much.
            OverloadedError: if it does not become free in time.
        """
        if memory_bytes:
            await self._gate.hold(self, memory_bytes)

    async def hold_for_parsing(self, parse_bytes: int) -> None:
        """Hold memory for what a body is parsed to, and for the arrays that are made of it.

        Requests that hold some memory and wait for more would wait for each other.

        Args:
            parse_bytes: Bytes of what the body is parsed to.

        Raises:
            ImageTooLargeError: if the server never has so much.
            OverloadedError: if it does not become free in time.
        """
        await self.hold(parse_bytes + parse_bytes // 2)
        self.parse_bytes = parse_bytes

    async def hold_for_images(self, image_bytes: int) -> None:
        """Hold memory for images, as far as it is not held since the body was parsed.

        Args:
            image_bytes: Bytes for images, labels and the answer.

        Raises:
            ImageTooLargeError: if the server never has so much.
            OverloadedError: if it does not become free in time.
        """
        await self.hold(max(image_bytes - (self.held_bytes - self.parse_bytes), 0))

    def shrink(self, memory_bytes: int) -> None:
        """Release the memory beyond this many bytes."""
        for claim in self._claims:
            kept_bytes = min(claim.held_bytes, memory_bytes)
            claim.shrink(kept_bytes)
            memory_bytes -= kept_bytes

    def keep(self, memory_bytes: int) -> Callable[[], None]:
        """Keep some of the held memory beyond the end of the request.

        Args:
            memory_bytes: Bytes to keep; everything if less is held.

        Returns:
            Function that gives it back.
        """
        self.shrink(memory_bytes)
        claims, self._claims = self._claims, []

        def release() -> None:
            for claim in claims:
                claim.release()

        return release

    def add_claim(self, claim: Claim) -> None:
        """Release a claim at the end of the request."""
        self._claims.append(claim)
