"""GDAL as this package runs it: a small cache, no folder listings, errors in one line.

GDAL reports through exceptions of rasterio, whose first cause says what happened, and through log
lines of rasterio, which would otherwise go to the standard error.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from lacuna.errors import InvalidImageError, LacunaError
from lacuna.excerpts import MAX_CHARACTERS

CACHE_BYTES = 32 << 20
"""Size of GDAL's cache of blocks. The default is a twentieth of the machine's memory."""

_OPTIONS = {
    "GDAL_CACHEMAX": CACHE_BYTES,
    # Files beside a raster, such as its mask, are looked for by name.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # Without it, the missing part of a truncated JPEG file is read as grey.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",
}
_LOGGERS = ("rasterio._env", "rasterio._err")
_MAX_REASON = 3 * MAX_CHARACTERS


class _Lines(logging.Filter):
    """Filter that keeps the warnings of one thread, in place of the log."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread or record.levelno < logging.WARNING:
            return True
        self.lines.append(record.getMessage())
        return False


@contextmanager
def gdal(rule: str, error: type[LacunaError] = InvalidImageError) -> Iterator[list[str]]:
    """Run calls of rasterio with this package's settings of GDAL.

    It holds for the thread that enters it.

    Args:
        rule: the rule that a failure breaks, and what broke it; the reason is appended.
        error: class of the error that a failure becomes.

    Yields:
        Warnings of GDAL; they grow until the end, and do not reach the log.

    Raises:
        LacunaError: of the class `error`, if GDAL or rasterio fails.
    """
    lines = _Lines()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(lines)
    try:
        with rasterio.Env(**_OPTIONS), warnings.catch_warnings():
            # Many rasters have no place on Earth, and a grid says so.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield lines.lines
    except (RasterioError, OSError) as failure:
        raise error(f"{rule}: {find_reason(failure)}") from failure
    finally:
        for logger in loggers:
            logger.removeFilter(lines)


def find_reason(failure: BaseException) -> str:
    """Return the message of the first cause of an exception, in one line."""
    while failure.__cause__ is not None:
        failure = failure.__cause__
    return " ".join(str(failure).split())[:_MAX_REASON] or type(failure).__name__
