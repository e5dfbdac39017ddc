"""Admission control: whether a request is admitted, first by its head and again by its size.

1. A request is refused if its predicted wait in the queue exceeds the server's limit (`wait`).
   Once its timeout is known, it is refused if the predicted wait exceeds that (`deadline`). A
   caller that is refused at once can go elsewhere.
2. Clients take turns in the queue (`service.core.backlog`). So the work ahead of a request is that
   of its own client, and as much of each other client's. A client with nothing pending waits for
   the running calls only.
3. A request is refused if too many requests are pending (`pending`), or if their bodies have too
   many bytes (`bytes`). This bounds memory even if the prediction is wrong.
4. A single body is never refused here, because a later attempt would fail as well. Another limit
   bounds the size of one body.
5. No client takes all of the server (`share`): a client gets at most its share of the pending
   requests, of the bytes, and of the wait.
6. A refusal says when to retry: when enough work will be done to admit the same request.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from service.core.load import ClientLoad, Load, predict_drain, predict_wait

Reason = Literal["wait", "deadline", "pending", "bytes", "memory", "share"]

# Retry-After counts whole seconds. Predictions beyond a minute are not reliable.
_MIN_RETRY_S = 1
_MAX_RETRY_S = 60


@dataclass(frozen=True)
class AdmissionPolicy:
    """Limits on the load that the server accepts.

    Attributes:
        max_wait_s: Largest predicted wait of a request in the queue, in seconds. 10 s fits within
            the timeouts of common clients and proxies, which are 15 s to 60 s.
        max_pending: Largest number of pending requests: admitted and not yet answered. Each of them
            holds a connection and a task.
        max_pending_bytes: Largest sum of their bodies, in bytes.
        max_share: Largest share of these limits, and of the memory for images, for one client. With
            one half, a single client still has 512 requests and a queue of 5 s, which fills every
            batch, and two clients can use the whole server. Set it to 1 if all clients come through
            the address of one proxy.

    Raises:
        ValueError: if a limit would refuse every request.
    """

    max_wait_s: float = 10.0
    max_pending: int = 1024
    max_pending_bytes: int = 1 << 30
    max_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.max_share <= 1:
            raise ValueError(f"max_share must be above 0 and at most 1; it is {self.max_share}")
        if not self.max_wait_s >= 0 or self.max_pending < 1 or self.max_pending_bytes < 1:
            raise ValueError(
                "max_wait_s must be at least 0, max_pending and max_pending_bytes at least 1; they "
                f"are {self.max_wait_s}, {self.max_pending} and {self.max_pending_bytes}"
            )


@dataclass(frozen=True)
class Refusal:
    """Reason why a request is refused, and when to retry.

    Attributes:
        reason: Stable name of the reason, for programs and metrics.
        retry_after_s: Seconds to wait before a retry, a whole number.
        message: Message for people.
    """

    reason: Reason
    retry_after_s: float
    message: str


def admit(
    policy: AdmissionPolicy,
    load: Load,
    body_bytes: int,
    client_load: ClientLoad | None = None,
) -> Refusal | None:
    """Decide whether a request is admitted.

    Args:
        policy: Limits of the server.
        load: Current load, without this request.
        body_bytes: Bytes of the request's body.
        client_load: Part of the load that its client causes; None if the client is not known.

    Returns:
        The refusal; None if the request is admitted.
    """
    if load.pending >= policy.max_pending:
        share = (load.pending + 1 - policy.max_pending) / load.pending
        return _refuse(
            "pending",
            share * predict_drain(load),
            f"pending requests must be at most {policy.max_pending}; there are {load.pending}",
        )
    places = max(1, int(policy.max_pending * policy.max_share))
    if client_load is not None and policy.max_share < 1 and client_load.pending >= places:
        return _refuse(
            "share",
            predict_drain(load) / client_load.pending,
            f"the pending requests of one client must be at most {places}; "
            f"there are {client_load.pending}",
        )
    return admit_bytes(policy, load, body_bytes, client_load) or admit_wait(
        policy, load, client_load
    )


def admit_bytes(
    policy: AdmissionPolicy, load: Load, body_bytes: int, client_load: ClientLoad | None = None
) -> Refusal | None:
    """Decide whether the bytes of a body are admitted.

    Args:
        policy: Limits of the server.
        load: Current load, without these bytes.
        body_bytes: Number of bytes.
        client_load: Part of the load that the client causes, without these bytes; None if the
            client is not known.

    Returns:
        The refusal; None if the bytes are admitted.
    """
    bytes_over = load.pending_bytes + body_bytes - policy.max_pending_bytes
    if bytes_over > 0 and load.pending_bytes > 0:
        share = min(1.0, bytes_over / load.pending_bytes)
        return _refuse(
            "bytes",
            share * predict_drain(load),
            f"the bodies of pending requests must have at most {policy.max_pending_bytes} bytes "
            f"together; they have {load.pending_bytes}, and this one has {body_bytes}",
        )
    if client_load is None or policy.max_share == 1 or client_load.pending_bytes <= 0:
        return None
    most_bytes = policy.max_pending_bytes * policy.max_share
    if client_load.pending_bytes + body_bytes <= most_bytes:
        return None
    return _refuse(
        "share",
        predict_drain(load),
        f"the bodies of one client's pending requests must have at most {most_bytes:.0f} bytes "
        f"together; they have {client_load.pending_bytes}, and this one has {body_bytes}",
    )


def admit_wait(
    policy: AdmissionPolicy, load: Load, client_load: ClientLoad | None = None
) -> Refusal | None:
    """Decide whether the predicted wait of a request is admitted.

    Args:
        policy: Limits of the server.
        load: Current load, without the work of this request.
        client_load: Part of the load that the client causes, without the work of this request; None
            if the client is not known.

    Returns:
        The refusal; None if the request goes on.
    """
    if client_load is not None and policy.max_share < 1:
        own_s = client_load.waiting_s / load.workers
        most_s = policy.max_wait_s * policy.max_share
        if own_s > most_s:
            return _refuse(
                "share",
                own_s - most_s,
                f"the work of one client that waits must take at most {most_s:g} s; "
                f"it takes {own_s:.3g} s",
            )
    wait_s = predict_wait(load)
    if wait_s <= policy.max_wait_s:
        return None
    return _refuse(
        "wait",
        wait_s - policy.max_wait_s,
        f"the predicted wait in the queue must be at most {policy.max_wait_s:g} s; "
        f"it is {wait_s:.3g} s",
    )


def admit_timeout(load: Load, timeout_s: float) -> Refusal | None:
    """Decide whether a request with a timeout goes on.

    Args:
        load: Current load, without the work of this request.
        timeout_s: Timeout of the request, in seconds.

    Returns:
        The refusal; None if the request goes on.
    """
    wait_s = predict_wait(load)
    if wait_s <= timeout_s:
        return None
    return _refuse(
        "deadline",
        wait_s - timeout_s,
        f"the predicted wait in the queue must be at most the timeout of {timeout_s:g} s; "
        f"it is {wait_s:.3g} s",
    )


def refuse_memory(policy: AdmissionPolicy, load: Load, need_bytes: int) -> Refusal:
    """Return the refusal of a request that has waited too long for memory.

    Args:
        policy: Limits of the server.
        load: Current load.
        need_bytes: Bytes of memory that its images need.
    """
    return _refuse(
        "memory",
        predict_drain(load),
        f"memory for images must become free within {policy.max_wait_s:g} s; "
        f"{need_bytes} bytes did not",
    )


def _refuse(reason: Reason, retry_after_s: float, message: str) -> Refusal:
    bounded_s = min(max(retry_after_s, _MIN_RETRY_S), _MAX_RETRY_S)
    return Refusal(reason, float(math.ceil(bounded_s)), message)
