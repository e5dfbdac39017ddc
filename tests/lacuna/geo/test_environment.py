"""GDAL's settings, errors and log lines."""

import logging
import threading

import numpy as np
import pytest
import rasterio
from rasterio._env import get_gdal_config

from lacuna.errors import ConfigurationError, InvalidImageError, ModelError
from lacuna.geo.environment import CACHE_BYTES, find_reason, gdal
from tests.support.rasters import write_raster


def test_the_cache_is_small_and_folders_are_not_listed():
    with gdal("a rule", "a.tif"):
        assert get_gdal_config("GDAL_CACHEMAX") == CACHE_BYTES
        assert get_gdal_config("GDAL_DISABLE_READDIR_ON_OPEN", normalize=False) == "TRUE"


def test_a_failure_of_gdal_is_one_error_with_the_rule_and_the_reason(tmp_path):
    path = tmp_path / "a.tif"

    with pytest.raises(InvalidImageError) as caught, gdal("a rule", str(path)):
        rasterio.open(path)

    assert caught.value.message == f"a rule; {path}: No such file or directory"


def test_the_class_of_the_error_can_be_chosen():
    with (
        pytest.raises(ConfigurationError, match=r"a rule; out\.tif: no space"),
        gdal("a rule", "out.tif", ConfigurationError),
    ):
        raise OSError("no space")


@pytest.mark.parametrize("error", [ModelError("mine"), ValueError("a bug"), MemoryError()])
def test_other_errors_pass(error):
    with pytest.raises(type(error)), gdal("a rule", "a.tif"):
        raise error


def test_the_reason_is_that_of_the_first_cause_in_one_line():
    failure = RuntimeError("read failed")
    failure.__cause__ = OSError("a.tif: tile 5\nis  short")

    assert find_reason(failure, "a.tif") == "tile 5 is short"
    assert find_reason(OSError()) == "OSError"


def test_a_raster_without_a_place_gives_no_warning(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.ones((1, 2, 3), np.uint8))

    with gdal("a rule", "a.tif"), rasterio.open(path) as dataset:
        assert dataset.shape == (2, 3)


@pytest.fixture
def unnamed_threads():
    """Logging as servers configure it: records do not name their threads."""
    logging.logThreads = False
    yield
    logging.logThreads = True


def test_warnings_of_gdal_stay_out_of_the_log_of_this_thread_alone(caplog, unnamed_threads):
    log = logging.getLogger("rasterio._env")

    with gdal("a rule", "a.tif"):
        log.warning("mine")
        other = threading.Thread(target=log.warning, args=("of another thread",))
        other.start()
        other.join()
    log.warning("after")

    assert [record.getMessage() for record in caplog.records] == ["of another thread", "after"]
