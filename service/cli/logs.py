"""How events are written down: a JSON line each for machines, a readable one for people."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Literal

LogFormat = Literal["auto", "json", "text"]

# What every record has; all else was said with `extra`.
_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class TextFormatter(logging.Formatter):
    """Time, level and message, then whatever else is known as name=value."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Format one record, without a traceback."""
        facts = [
            f"{name}={_quote(value)}"
            for name, value in vars(record).items()
            if name not in _ORDINARY
        ]
        return " ".join([super().formatMessage(record), *facts])


def _quote(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


def configure_logging(log_format: LogFormat) -> None:
    """Send all logs to the standard error in one form.

    Args:
        log_format: `"json"`, `"text"`, or `"auto"`: text on a terminal, JSON elsewhere.
    """
    # A descriptor of its own, so that muting native code for a while mutes no log line.
    stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)
    handler = logging.StreamHandler(stream)
    if log_format == "text" or (log_format == "auto" and stream.isatty()):
        handler.setFormatter(TextFormatter())
    else:
        from pythonjsonlogger.core import RESERVED_ATTRS  # noqa: PLC0415 (an extra)
        from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415

        handler.setFormatter(
            JsonFormatter(
                ["asctime", "levelname", "name", "message"],
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
                reserved_attrs=[*RESERVED_ATTRS, "color_message"],
            )
        )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
