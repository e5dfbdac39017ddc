"""Memory that is announced for an output, against what writing it takes."""

import json
import subprocess
import sys

import pytest

# The libraries are loaded, and a small output is written, before the peak is reset.
MEASURE = """
import gc, json, sys
from pathlib import Path
import numpy as np
from lacuna.georeference import Georeference
from lacuna.outputs import find_by_suffix
from lacuna.raster.outlines import MAX_CORNERS, count_corners
from lacuna.segmentation import ClassInfo, NamedSegmentation

CLASSES = tuple(ClassInfo(number, f"class {number}", "#808080") for number in range(3))
PLACE = Georeference("EPSG:32618", (10, 0, 500_000, 0, -10, 4_000_000))
SLACK = 40 << 20  # GDAL's cache of blocks, which all requests share, and what is loaded late

def read(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

def make(labels, planes):
    plane = np.random.default_rng(1).random(labels.shape, np.float32)
    return NamedSegmentation(
        labels, CLASSES, georeference=PLACE, **dict.fromkeys(planes, plane)
    )

side, kind, suffix, planes = int(sys.argv[1]), sys.argv[2], sys.argv[3], tuple(sys.argv[4:])
rows, columns = np.indices((side, side))
labels = {
    "empty": np.zeros((side, side), np.uint8),
    "stripes": (columns % 2).astype(np.uint8),
    "checks": ((rows + columns) % 2).astype(np.uint8),
    "noise": np.random.default_rng(0).integers(0, 3, (side, side)).astype(np.uint8),
}[kind]
del rows, columns
output = find_by_suffix(suffix)
output.write(make(labels[:64, :64].copy(), planes))
named = make(labels, planes)
assert not output.corner_bytes or count_corners(labels) <= MAX_CORNERS
estimate = labels.size * output.estimate_pixel_bytes(len(CLASSES), planes)
estimate += min(labels.size, MAX_CORNERS) * output.corner_bytes
gc.collect()
before = read("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
output.write(named)
print(json.dumps([estimate + SLACK, read("VmHWM") - before]))
"""


@pytest.mark.parametrize(
    "case",
    [
        "2048 empty .tif",
        "2048 noise .tif",
        "1500 noise .tif confidence support",
        "1024 empty .geojson",
        "1024 stripes .geojson confidence",
        "400 checks .geojson",
        "500 noise .geojson",
    ],
)
def test_an_output_takes_no_more_than_is_announced(case):
    command = [sys.executable, "-c", MEASURE, *case.split()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)

    announced, taken = json.loads(done.stdout)
    assert taken <= announced
