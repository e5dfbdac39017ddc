"""How events are written down: a JSON line each for machines, a readable one for people."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

LogFormat = Literal["auto", "json", "text"]

# What every record has; all else was said with `extra`.
_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "color_message",
    "taskName",
}


def _list_facts(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Give what was said with `extra`."""
    return (fact for fact in vars(record).items() if fact[0] not in _ORDINARY)


_JSON = json.JSONEncoder(default=str)


class JsonFormatter(logging.Formatter):
    """A JSON object a line: time (RFC 3339), level, logger and message, then whatever is known."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record, with its traceback as `exc_info`."""
        content = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        content.update(_list_facts(record))
        if record.exc_info:
            content["exc_info"] = self.formatException(record.exc_info)
        return _JSON.encode(content)


class TextFormatter(logging.Formatter):
    """Time, level and message, then whatever else is known as name=value."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Format one record, without a traceback."""
        facts = [f"{name}={_quote(value)}" for name, value in _list_facts(record)]
        return " ".join([super().formatMessage(record), *facts])


def _quote(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


class BatchingHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of one turn of an event loop together, and all others at once.

    Requests of one batch are answered in one turn. Lines are made once the answers are out, one
    after the other, which is quicker than one here and there; and a system call for each would take
    longer still.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write at the end of this turn, or now if nothing turns on this thread."""
        self._waiting.append(record)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if len(self._waiting) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits."""
        self.acquire()
        try:
            records, self._waiting = self._waiting, []
            self.stream.writelines(self._make_lines(records))
            self.stream.flush()
        except OSError:
            pass  # as on a full disk; whoever tells of it would write to the log
        finally:
            self.release()

    def _make_lines(self, records: Iterable[logging.LogRecord]) -> Iterator[str]:
        for record in records:
            try:
                yield self.format(record) + self.terminator
            except Exception:  # noqa: BLE001 (what cannot be told must not silence the others)
                self.handleError(record)


def configure_logging(log_format: LogFormat) -> None:
    """Send all logs to the standard error in one form.

    Args:
        log_format: `"json"`, `"text"`, or `"auto"`: text on a terminal, JSON elsewhere.
    """
    # A descriptor of its own, so that muting native code for a while mutes no log line.
    stream = os.fdopen(os.dup(sys.stderr.fileno()), "w")
    handler = BatchingHandler(stream)
    if log_format == "text" or (log_format == "auto" and stream.isatty()):
        handler.setFormatter(TextFormatter())
    else:
        handler.setFormatter(JsonFormatter())
    _skip_unused_record_fields()
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _skip_unused_record_fields() -> None:
    """Save a third of what a line takes: where it was written, and on which thread.

    As the section on optimization in Python's "Logging HOWTO" has it.
    """
    logging._srcfile = None  # noqa: SLF001 (documented there)
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
