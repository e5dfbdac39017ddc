import base64
import json
import tracemalloc

import numpy as np
import pytest

from lacuna.raster.limits import ImageLimits
from service.wire.json_object import estimate_parse_bytes, read_object
from service.wire.json_values import make_image_input
from tests.support.apps import encode_image

PNG = encode_image(np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8))
LINES = base64.encodebytes(PNG).decode()


@pytest.mark.parametrize(
    "encoded",
    [
        base64.b64encode(PNG).decode(),
        LINES,
        f"data:image/png;base64,{LINES}",
        base64.urlsafe_b64encode(PNG).decode().rstrip("="),
    ],
    ids=["plain", "lines", "data URL", "for URLs"],
)
def test_the_estimate_covers_the_copies_of_base64(encoded):
    text = json.dumps({"image": {"b64": encoded}}).encode()

    tracemalloc.start()
    try:
        image = read_object(text, ImageLimits())["image"]
        footprint = make_image_input(image, None, strict=False).measure(ImageLimits())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert footprint.pixels == 700 * 700
    assert peak_bytes <= estimate_parse_bytes(text)
