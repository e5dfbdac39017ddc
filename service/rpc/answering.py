"""Answering of calls: keys, errors as statuses, and one line of the log for each.

1. A call needs a key where requests need one, unless its method is open.
2. An error becomes a status with its message. The trailing metadata has its stable `code`, and
   `retry-after` in seconds where a retry is worth it.
3. Every answer has the id of the request as trailing metadata.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import grpc

from lacuna.errors import LacunaError
from lacuna.out_of_memory import translate_shortage
from service.listening.access import make_missing_key_error
from service.listening.services import Services
from service.listening.statuses import INTERNAL_ERROR, STATUSES, UNEXPECTED, find_retry_s
from service.rpc.call import Call
from service.rpc.methods import Method
from service.tracing import Tracing, write_traceresponse

log = logging.getLogger(__name__)

_GONE = (asyncio.CancelledError, grpc.aio.BaseError)
"""Exceptions in a call whose client has gone. gRPC ends such a call by itself."""


def _is_gone(error: BaseException) -> bool:
    """Return True if an exception, or each one of a group, says that the client has gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_gone, error.exceptions))
    return isinstance(error, _GONE)


class Logged(Protocol):
    """Call, or message of a stream, as the log sees it.

    Attributes:
        path: path of the method.
        request_id: id of the request.
        address: address of the client.
        log_fields: further fields of its line.
    """

    path: str
    request_id: str
    address: str
    log_fields: dict[str, Any]

    def add_log_fields(self, **fields: Any) -> None:
        """Add fields to its line. They must hold neither pixels nor secrets."""
        ...


class Failure(NamedTuple):
    """Status of a call that failed.

    Attributes:
        status: name of the gRPC code.
        code: stable name of the kind of error, for programs.
        message: message for people.
        retry_s: seconds after which a retry is worth it; None where it is not.
    """

    status: str
    code: str
    message: str
    retry_s: float | None = None

    def describe(self) -> dict[str, str]:
        """Return what programs read of it: its code, and `retry-after` in seconds."""
        retry = {} if self.retry_s is None else {"retry-after": f"{self.retry_s:.0f}"}
        return {"code": self.code, **retry}


async def answer_call(services: Services, method: Method, call: Call) -> bytes | None:
    """Answer a call, and log one line for it.

    Args:
        services: objects that every listener works with.
        method: method that is called.
        call: call whose messages were not read yet.

    Returns:
        Encoded answer; None if it was written, or the status is an error.
    """

    async def work() -> bytes | None:
        _check_key(services, method, call)
        return await method.answer(call)

    tracing = services.telemetry.tracing
    if tracing is None or method.is_quiet:
        content, failure = await attempt(call, work, is_quiet=method.is_quiet)
    else:
        with _trace(tracing, call):
            content, failure = await attempt(call, work)
    if failure is not None:
        call.trailers.update(failure.describe())
        trailers = tuple(call.trailers.items())
        await call.context.abort(grpc.StatusCode[failure.status], failure.message, trailers)
    call.context.set_trailing_metadata(tuple(call.trailers.items()))
    return content


async def attempt(
    logged: Logged, work: Callable[[], Awaitable[bytes | None]], *, is_quiet: bool = False
) -> tuple[bytes | None, Failure | None]:
    """Do the work of a call, or of a message of a stream, and log one line for it.

    Args:
        logged: call or message.
        work: its work.
        is_quiet: True to log the line at debug level.

    Returns:
        The result of the work; None and its failure if it raised an exception.
    """
    began = time.perf_counter()
    content: bytes | None = None
    failure: Failure | None = None
    try:
        content = await work()
    except (Exception, asyncio.CancelledError) as error:
        failure = _describe(error, logged)
        if _is_gone(error):
            raise
    finally:
        seconds = time.perf_counter() - began
        _write_line(logged, failure, seconds, len(content or b""), is_quiet=is_quiet)
    return content, failure


@contextmanager
def _trace(tracing: Tracing, call: Call) -> Iterator[None]:
    """Make a span of the call."""
    service, _, name = call.path[1:].partition("/")
    facts = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
    with tracing.begin(call.path[1:], call.metadata, facts) as span:
        trace_id, call.trailers["traceresponse"] = write_traceresponse(span)
        call.add_log_fields(trace_id=trace_id)
        yield


def _check_key(services: Services, method: Method, call: Call) -> None:
    access = services.access_control
    if not access.has_keys:
        return
    key = call.key
    call.principal = access.find(key)
    if call.principal is not None:
        call.add_log_fields(key=call.principal.name)
    elif access.needs_keys and not method.is_open:
        raise make_missing_key_error(key)


def _describe(error: BaseException, logged: Logged) -> Failure:
    """Return the status of an exception, and log what its message must not tell."""
    if _is_gone(error):
        logged.log_fields.setdefault("outcome", "client gone")
        return Failure("CANCELLED", "", "")
    if not isinstance(error, LacunaError):
        shortage = translate_shortage(error, "answer the request")
        told = {"request_id": logged.request_id}
        if shortage is None:
            log.error("unexpected error", extra=told, exc_info=error)
            return Failure("INTERNAL", INTERNAL_ERROR, UNEXPECTED)
        log.warning("out of memory", extra=told | {"reason": repr(error)})
        error = shortage
    logged.add_log_fields(code=error.code, detail=error.message)
    status = STATUSES[type(error)].grpc
    return Failure(status, error.code, error.message, find_retry_s(error))


def _write_line(
    logged: Logged, failure: Failure | None, seconds: float, sent_bytes: int, *, is_quiet: bool
) -> None:
    level = logging.DEBUG if is_quiet else logging.INFO
    if not log.isEnabledFor(level):
        return
    facts = {
        "request_id": logged.request_id,
        "method": "gRPC",
        "path": logged.path,
        "client": logged.address,
        # Not `status`, which is a number in the lines of requests over HTTP.
        "grpc_status": "OK" if failure is None else failure.status,
        "duration_ms": round(seconds * 1000, 2),
        "sent_bytes": sent_bytes,
    }
    log.log(level, "request", extra=facts | logged.log_fields)
