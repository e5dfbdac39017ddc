"""Memory for decoded images, their labels and their answers, shared by all requests.

1. A request claims what it will take before its image is decoded. What does not fit waits.
2. No client holds more than its share, unless it holds nothing else.
3. Among the clients that wait, the one that holds least is next, and its claims are granted in
   order. Nobody overtakes it, so that small claims do not starve a large one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


def _ignore() -> None:
    """Do nothing, where nobody waits."""


class Claim:
    """Claim to memory.

    Attributes:
        client: Client of the request; empty if unknown.
        held_bytes: Bytes claimed.
        own_bytes: Bytes that the same request holds besides.
        number: Number of the claim, in order.
        is_granted: True if the bytes are held, False while the claim waits.
        on_grant: Callback when a claim that waits is granted. It must not refer to the request of
            another claim.
    """

    __slots__ = ("_pool", "client", "held_bytes", "is_granted", "number", "on_grant", "own_bytes")

    def __init__(
        self,
        pool: MemoryPool,
        client: str,
        held_bytes: int,
        own_bytes: int,
        number: int,
    ) -> None:
        self._pool = pool
        self.client = client
        self.own_bytes = own_bytes
        self.held_bytes = held_bytes
        self.is_granted = False
        self.number = number
        self.on_grant: Callable[[], object] = _ignore

    def grant(self) -> None:
        """Grant the claim."""
        self.is_granted = True
        self.on_grant()

    def shrink(self, claim_bytes: int) -> None:
        """Release what the claim no longer needs, if it is granted."""
        self._pool.shrink(self, claim_bytes)

    def release(self) -> None:
        """Release everything, or withdraw the claim."""
        self._pool.release(self)


class MemoryPool:
    """Memory that claims share. It knows no clock and is not thread-safe.

    Args:
        total_bytes: Bytes of all claims together.
        max_share: Largest share of them for one client.

    Attributes:
        held_bytes: Bytes of the granted claims.
    """

    def __init__(self, total_bytes: int, max_share: float = 1.0) -> None:
        self._total_bytes = total_bytes
        self._max_share = max_share
        self._clients: dict[str, int] = {}
        self._waiting: dict[str, deque[Claim]] = {}
        self._claims = 0
        self.held_bytes = 0

    @property
    def total_bytes(self) -> int:
        """Bytes of all claims together; a larger claim is never granted."""
        return self._total_bytes

    def resize(self, total_bytes: int) -> None:
        """Change the size. Granted claims keep what they hold."""
        self._total_bytes = total_bytes
        self._grant()

    def can_grant(self, client: str, claim_bytes: int, own_bytes: int = 0) -> bool:
        """Return True if nobody waits, and a claim would be granted at once."""
        if self._waiting or self.held_bytes + claim_bytes > self._total_bytes:
            return False
        return self._is_within_share(client, claim_bytes, own_bytes)

    def claim(self, client: str, claim_bytes: int, own_bytes: int = 0) -> Claim:
        """Claim memory. Release the claim in the end, even if it was never granted.

        Args:
            client: Client of the request; empty if unknown.
            claim_bytes: Number of bytes.
            own_bytes: Number of bytes that the same request holds already. A client may exceed its
                share for a single request.

        Raises:
            ValueError: if the claim could never be granted.
        """
        if not 0 <= claim_bytes <= self._total_bytes:
            raise ValueError(
                f"a claim must have from 0 to {self._total_bytes} bytes; it has {claim_bytes}"
            )
        self._claims += 1
        claim = Claim(self, client, claim_bytes, own_bytes, self._claims)
        if self.can_grant(client, claim_bytes, own_bytes):
            self._give(claim)
            return claim
        self._waiting.setdefault(client, deque()).append(claim)
        self._grant()
        return claim

    def shrink(self, claim: Claim, claim_bytes: int) -> None:
        """Release what a granted claim no longer needs."""
        if claim.is_granted and claim_bytes < claim.held_bytes:
            self._count(claim.client, claim_bytes - claim.held_bytes)
            claim.held_bytes = claim_bytes
            if self._waiting:
                self._grant()

    def release(self, claim: Claim) -> None:
        """Release all memory of a claim, or withdraw it."""
        if claim.is_granted:
            self.shrink(claim, 0)
            return
        queue = self._waiting[claim.client]
        queue.remove(claim)
        if not queue:
            del self._waiting[claim.client]
        self._grant()

    def _grant(self) -> None:
        while (claim := self._find_next()) is not None and self._fits(claim):
            queue = self._waiting[claim.client]
            queue.popleft()
            if not queue:
                del self._waiting[claim.client]
            self._give(claim)

    def _give(self, claim: Claim) -> None:
        self._count(claim.client, claim.held_bytes)
        claim.grant()

    def _find_next(self) -> Claim | None:
        heads = [queue[0] for queue in self._waiting.values() if self._has_share(queue[0])]
        return min(heads, key=self._rank, default=None)

    def _rank(self, claim: Claim) -> tuple[int, int]:
        return self._clients.get(claim.client, 0), claim.number

    def _has_share(self, claim: Claim) -> bool:
        return self._is_within_share(claim.client, claim.held_bytes, claim.own_bytes)

    def _is_within_share(self, client: str, claim_bytes: int, own_bytes: int) -> bool:
        held_bytes = self._clients.get(client, 0)
        if not client or held_bytes <= own_bytes:
            return True
        return held_bytes + claim_bytes <= self._max_share * self._total_bytes

    def _fits(self, claim: Claim) -> bool:
        return self.held_bytes + claim.held_bytes <= self._total_bytes

    def _count(self, client: str, change_bytes: int) -> None:
        self.held_bytes += change_bytes
        held_bytes = self._clients.get(client, 0) + change_bytes
        if held_bytes:
            self._clients[client] = held_bytes
        else:
            self._clients.pop(client, None)
