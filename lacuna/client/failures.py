"""Errors of the client, and of the server as the client raises them.

    UnavailableError
    ├── UnreachableError      no answer came
    │   └── TimedOutError     no answer came in time
    └── FailedError           the server failed with a code that this client does not know
    RequestError
    └── RejectedError         the server refused with a code that this client does not know

All other errors are those of `lacuna.errors`, found by their code.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import httpx2

from lacuna import errors
from lacuna.client.calls import HttpReply
from lacuna.errors import LacunaError


class UnreachableError(errors.UnavailableError):
    """No answer came from the server."""

    code = "unreachable"


class TimedOutError(UnreachableError):
    """No answer came from the server in the time that the client waits."""

    code = "timed_out"


class FailedError(errors.UnavailableError):
    """The server failed with a code that this client does not know."""

    code = "failed"


class RejectedError(errors.RequestError):
    """The server refused the request with a code that this client does not know."""

    code = "rejected"


class Failure(NamedTuple):
    """An error, and whether to try again.

    Attributes:
        error: to raise.
        may_pass: whether the same request may succeed later.
        retry_after_s: seconds until then, if the server says so.
    """

    error: LacunaError
    may_pass: bool = False
    retry_after_s: float | None = None


# A proxy answers 502 while its server restarts.
_PASSING_STATUSES = frozenset({429, 502, 503})

# For answers without a code: of other servers, of proxies, and of protocols that have no codes.
_BY_STATUS: dict[int, type[LacunaError]] = {
    503: errors.NotReadyError,
    504: errors.DeadlineExceededError,
}


def read_failure(reply: HttpReply, now: datetime | None = None) -> Failure:
    """Return the error that the server raised.

    Args:
        reply: with a status of 400 or more.
        now: to count a `Retry-After` from that is a date; the system's time by default.
    """
    retry_after_s = _read_retry_after(reply, now)
    error = _make_error(reply, retry_after_s)
    request_id = reply.headers.get("x-request-id")
    if request_id:
        error.add_note(f"see request id {request_id} in the server's log")
    return Failure(error, reply.status in _PASSING_STATUSES, retry_after_s)


def explain_silence(url: str, fault: httpx2.HTTPError) -> Failure:
    """Return the error of a server that did not answer.

    Args:
        url: of the server.
        fault: error of the connection.
    """
    said = str(fault) or type(fault).__name__
    if isinstance(fault, httpx2.ReadTimeout | httpx2.WriteTimeout | httpx2.PoolTimeout):
        return Failure(TimedOutError(f"the server must answer in time; {url} does not: {said}"))
    passes = isinstance(fault, httpx2.TransportError) and not isinstance(
        fault, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError
    )
    return Failure(UnreachableError(f"the server must answer; {url} does not: {said}"), passes)


def _make_error(reply: HttpReply, retry_after_s: float | None) -> LacunaError:
    code, message = _read_message(reply)
    if code == errors.OverloadedError.code or (not code and reply.status == 429):
        return errors.OverloadedError(message, "server", retry_after_s or 0.0)
    for kind in _walk(LacunaError):
        if code and getattr(kind, "code", None) == code:
            return kind(message)
    fallback = RejectedError if reply.status < 500 else FailedError
    if code:
        return fallback(f"{message} ({code})")
    return _BY_STATUS.get(reply.status, fallback)(message)


def _read_message(reply: HttpReply) -> tuple[str, str]:
    """Return the code of an answer, empty if it has none, and its message."""
    try:
        content = json.loads(reply.content)
        if "detail" in content:
            return str(content["code"]), str(content["detail"])
        return "", str(content["error"])
    except (ValueError, TypeError, KeyError):
        return "", f"the server answered {reply.status}"


def _read_retry_after(reply: HttpReply, now: datetime | None) -> float | None:
    """Read seconds or a date (RFC 9110, section 10.2.3)."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def _walk(kind: type[LacunaError]) -> Iterator[type[LacunaError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _walk(child)
