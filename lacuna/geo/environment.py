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
from rasterio._err import CPLE_BaseError  # GDAL's own errors, which rasterio lets through at times
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioError

from lacuna.errors import InvalidImageError, LacunaError
from lacuna.excerpts import MAX_CHARACTERS

CACHE_BYTES = 32 << 20
"""Size of GDAL's cache of blocks. The default is a twentieth of the machine's memory."""

_OPTIONS = {
    "GDAL_CACHEMAX": CACHE_BYTES,
    # Files beside a raster, such as its mask, are looked for by name.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # Without these, what is missing of a truncated JPEG or PNG file is made up in silence.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
}
_LOGGERS = ("rasterio._env", "rasterio._err")
_FAILURES = (RasterioError, CPLE_BaseError, OSError)
_MAX_REASON = 3 * MAX_CHARACTERS


class _WarningFilter(logging.Filter):
    """Filter that drops the warnings of one thread: what counts is raised as an error."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        # A record does not name its thread if the process has switched that off.
        return threading.get_ident() != self._thread or record.levelno < logging.WARNING


# Many rasters have no place on Earth; their grid says so. And alpha counts beside a no-data value.
# It is set for good, because what is set for a while is set for all threads.
for _category in (NotGeoreferencedWarning, NodataShadowWarning):
    warnings.filterwarnings("ignore", category=_category, module=r"lacuna\.geo\.|rasterio\b")


@contextmanager
def gdal(rule: str, subject: str, error: type[LacunaError] = InvalidImageError) -> Iterator[None]:
    """Run calls of rasterio with this package's settings of GDAL, for the thread that enters.

    Args:
        rule: the rule that a failure breaks, for the message.
        subject: the raster or file that is read or written, for the message.
        error: class of the error that a failure becomes.

    Raises:
        LacunaError: of the class `error`, if GDAL or rasterio fails.
    """
    quiet = _WarningFilter()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(quiet)
    try:
        with rasterio.Env(**_OPTIONS):
            yield
    except _FAILURES as failure:
        raise error(f"{rule}; {subject}: {find_reason(failure, subject)}") from failure
    finally:
        for logger in loggers:
            logger.removeFilter(quiet)


def find_reason(failure: BaseException, subject: str = "") -> str:
    """Return the message of the first cause of an exception, in one line.

    Args:
        failure: what rasterio raised.
        subject: the raster, which the message need not repeat.
    """
    while failure.__cause__ is not None:
        failure = failure.__cause__
    text = " ".join(str(failure).split())
    for prefix in (f"{subject}: ", f"'{subject}' ", f"`{subject}' "):
        text = text.removeprefix(prefix)
    return text[:_MAX_REASON] or type(failure).__name__
