"""Whether a request is taken in, decided before its body is decoded.

1. A request is refused if it would have to wait longer than the server promises (`wait`), and, once
   its timeout has been read, if it would have to wait longer than that (`deadline`): a queue that
   only grows helps nobody, and a caller who knows at once can go elsewhere.
2. It is refused if too many have been taken in and not answered (`pending`), or if their bodies
   hold too many bytes (`bytes`): memory is bounded whatever the prediction says.
3. A single body is never too large here: what one request may hold is limited elsewhere, and a
   refusal that says "later" must not be for ever.
4. A refusal says when to come again: when so much will have been worked off that the same request
   would be taken in.
5. No client takes it all (`share`): of the places and the bytes it gets its share at most, and
   while it holds more than its share of what was taken in, it is refused at its share of the wait.
   So whoever else comes finds room, and a queue that is not full of one client's work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

Reason = Literal["wait", "deadline", "pending", "bytes", "share"]

# Retry-After counts whole seconds; beyond a minute a prediction is worth nothing.
_MIN_RETRY_S = 1
_MAX_RETRY_S = 60


@dataclass(frozen=True)
class AdmissionPolicy:
    """What the server takes upon itself.

    Attributes:
        max_wait_s: predicted seconds until work on a request begins, above which it is refused. 10
            is what stock clients and proxies bear with, whose timeouts are from 15 s to 60 s.
        max_pending: requests taken in and not yet answered; each holds a connection and a task.
        max_pending_bytes: of their bodies together; decoded images take several times as much.
        max_share: of all that, for one client. With a half, a client that is alone still has 512
            places and a queue of 5 s, which fills every batch; and it takes two to fill the server.
            1 where all clients come through one proxy's address.

    Raises:
        ValueError: if nothing would ever be admitted.
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
class Load:
    """What the server has taken upon itself already.

    Attributes:
        waiting_s: predicted seconds of work in the queue, for one worker.
        running_s: predicted seconds that running calls still take, all workers together.
        workers: how many there are.
        pending: requests taken in and not yet answered.
        pending_bytes: of their bodies.
        idle: how many of the workers run nothing.

    Raises:
        ValueError: if there is no worker, or more are idle than there are.
    """

    waiting_s: float
    running_s: float
    workers: int
    pending: int
    pending_bytes: int
    idle: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.idle <= self.workers or self.workers < 1:
            raise ValueError(
                "workers must be at least 1 and idle at most as many; "
                f"they are {self.workers} and {self.idle}"
            )


class ClientLoad(NamedTuple):
    """What one client has of the load.

    Attributes:
        pending: its requests.
        pending_bytes: of their bodies.
    """

    pending: int
    pending_bytes: int


@dataclass(frozen=True)
class Refusal:
    """Why a request is not taken in.

    Attributes:
        reason: stable name, for programs and metrics.
        retry_after_s: when to come again, in whole seconds.
        message: one sentence for people.
    """

    reason: Reason
    retry_after_s: float
    message: str


def predict_wait(load: Load) -> float:
    """Give the seconds until a worker would begin with what is added now."""
    wait_s = (load.waiting_s + load.running_s) / load.workers
    # An idle worker takes what waits before the busy ones are done.
    return min(wait_s, load.waiting_s / load.idle) if load.idle else wait_s


def admit(
    policy: AdmissionPolicy,
    load: Load,
    body_bytes: int,
    client_load: ClientLoad | None = None,
) -> Refusal | None:
    """Decide whether a request is taken in.

    Args:
        policy: what the server takes upon itself.
        load: what it has taken already, this request not counted.
        body_bytes: of this request.
        client_load: what its client has of the load; None if it is not known who that is.

    Returns:
        None if it is taken in.
    """
    if load.pending >= policy.max_pending:
        share = (load.pending + 1 - policy.max_pending) / load.pending
        return _refuse(
            "pending",
            share * _predict_drain(load),
            f"requests being answered must be at most {policy.max_pending}; {load.pending} are",
        )
    refusal = admit_bytes(policy, load, body_bytes)
    if refusal is None and client_load is not None and policy.max_share < 1:
        refusal = _admit_client(policy, load, body_bytes, client_load)
    if refusal is not None:
        return refusal
    wait_s = predict_wait(load)
    if wait_s > policy.max_wait_s:
        return _refuse(
            "wait",
            wait_s - policy.max_wait_s,
            f"work on a request must begin within {policy.max_wait_s:g} s; "
            f"it would in {wait_s:.3g} s",
        )
    return None


def admit_timeout(load: Load, timeout_s: float) -> Refusal | None:
    """Decide whether a request whose caller will not wait for ever goes on.

    Args:
        load: what the server has taken upon itself, the work of this request not counted.
        timeout_s: how long the caller will wait, in seconds.

    Returns:
        None if it goes on.
    """
    wait_s = predict_wait(load)
    if wait_s <= timeout_s:
        return None
    return _refuse(
        "deadline",
        wait_s - timeout_s,
        f"work on a request must begin within its timeout of {timeout_s:g} s; "
        f"it would in {wait_s:.3g} s",
    )


def admit_bytes(policy: AdmissionPolicy, load: Load, body_bytes: int) -> Refusal | None:
    """Decide whether so many more bytes are taken in.

    Args:
        policy: what the server takes upon itself.
        load: what it has taken already, these bytes not counted.
        body_bytes: more of them.

    Returns:
        None if they are taken in.
    """
    bytes_over = load.pending_bytes + body_bytes - policy.max_pending_bytes
    if bytes_over <= 0 or load.pending_bytes <= 0:
        return None
    share = min(1.0, bytes_over / load.pending_bytes)
    return _refuse(
        "bytes",
        share * _predict_drain(load),
        f"bodies of requests being answered must be at most {policy.max_pending_bytes} bytes; "
        f"they are {load.pending_bytes}, and this one is {body_bytes}",
    )


def _admit_client(
    policy: AdmissionPolicy, load: Load, body_bytes: int, client_load: ClientLoad
) -> Refusal | None:
    """Decide whether a client is let have one more request."""
    share = policy.max_share
    places = max(1, int(policy.max_pending * share))
    if client_load.pending >= places:
        return _refuse(
            "share",
            _predict_drain(load) / client_load.pending,
            f"a client's requests must be at most {places}; "
            f"{client_load.pending} are being answered",
        )
    most_bytes = policy.max_pending_bytes * share
    if client_load.pending_bytes and client_load.pending_bytes + body_bytes > most_bytes:
        return _refuse(
            "share",
            _predict_drain(load),
            f"bodies of one client's requests must be at most {most_bytes:.0f} bytes; "
            f"they are {client_load.pending_bytes}, and this one is {body_bytes}",
        )
    wait_s = predict_wait(load)
    if client_load.pending > share * load.pending and wait_s > share * policy.max_wait_s:
        return _refuse(
            "share",
            wait_s - share * policy.max_wait_s,
            f"a client with most of the requests must find a wait within "
            f"{share * policy.max_wait_s:g} s; it is {wait_s:.3g} s",
        )
    return None


def _predict_drain(load: Load) -> float:
    """Give the seconds until everything that waits and runs is done."""
    return (load.waiting_s + load.running_s) / load.workers


def _refuse(reason: Reason, retry_after_s: float, message: str) -> Refusal:
    bounded_s = min(max(retry_after_s, _MIN_RETRY_S), _MAX_RETRY_S)
    return Refusal(reason, float(math.ceil(bounded_s)), message)
