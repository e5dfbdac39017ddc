"""Log formats: JSON lines for machines, readable lines for people."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]

# Other packages log pixels and headers at the level DEBUG.
OUR_LOGGERS = ("lacuna", "service")

# Attributes of every record. All others come from `extra`.
_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "color_message",
    "taskName",
}


def _list_facts(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Return the fields that were passed as `extra`.

    Names with a leading underscore are left out: a replica of Ray Serve has one on every record.
    """
    return (
        (name, value)
        for name, value in vars(record).items()
        if name not in _ORDINARY and not name.startswith("_")
    )


_JSON = json.JSONEncoder(default=str)


class JsonFormatter(logging.Formatter):
    """Formatter of JSON lines: time (RFC 3339), level, logger, message, and extra fields."""

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
    """Formatter of readable lines: time, level, message, and extra fields as name=value.

    No text of a request can begin a line, end a field or control a terminal: characters that cannot
    be printed are escaped as in Python, and the lines of a traceback are indented.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Format one record, without a traceback."""
        facts = [f"{name}={_quote(value)}" for name, value in _list_facts(record)]
        return " ".join([_escape(super().formatMessage(record)), *facts])

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """Format a traceback, indented by four spaces."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"    {_escape(line)}" for line in lines)


_NEEDS_QUOTES = re.compile(r'[ "\\]')


def _quote(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not _NEEDS_QUOTES.search(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_escape(quoted)}"'


def _escape(text: str) -> str:
    """Escape control characters, line separators, and marks that reorder text on a screen."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


class BatchingHandler(logging.StreamHandler[TextIO]):
    """Handler that writes all records of one iteration of the event loop together.

    Requests of one batch are answered in one iteration. Formatting their lines together, after the
    answers were sent, is faster than formatting them one by one, and one system call writes them
    all. Records from other threads are written immediately.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Schedule a record for the end of this iteration; write it now if no loop runs here."""
        self._waiting.append(record)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if len(self._waiting) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write all scheduled records."""
        self.acquire()
        try:
            records, self._waiting = self._waiting, []
            self.stream.writelines(self._make_lines(records))
            self.stream.flush()
        except OSError:
            pass  # such as a full disk; reporting it would write to the log again
        finally:
            self.release()

    def _make_lines(self, records: Iterable[logging.LogRecord]) -> Iterator[str]:
        for record in records:
            try:
                yield self.format(record) + self.terminator
            except Exception:  # noqa: BLE001 (one bad record must not stop the others)
                self.handleError(record)


def configure_logging(log_format: LogFormat, log_level: LogLevel = "info") -> None:
    """Send all logs to standard error in one format.

    Args:
        log_format: `"json"`; `"text"`; or `"auto"`, text on a terminal and JSON elsewhere.
        log_level: Lowest level of the lines; other packages never log below INFO.
    """
    level: int = getattr(logging, log_level.upper())
    # A separate descriptor, so that `mute_native_stderr` does not discard log lines.
    stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", errors="backslashreplace")
    handler = BatchingHandler(stream)
    if log_format == "text" or (log_format == "auto" and stream.isatty()):
        handler.setFormatter(TextFormatter())
    else:
        handler.setFormatter(JsonFormatter())
    _skip_unused_record_fields()
    logging.basicConfig(level=max(level, logging.INFO), handlers=[handler], force=True)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level)


def _skip_unused_record_fields() -> None:
    """Skip the caller, thread and process of records, which saves a third of the time per line.

    See the section on optimization in Python's "Logging HOWTO".
    """
    logging._srcfile = None  # noqa: SLF001 (documented there)
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
