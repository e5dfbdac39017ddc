"""Bodies are parsed on the event loop or in a thread, whichever is faster."""

import pytest

from lacuna.raster.limits import ImageLimits
from service.wire.dialect import RequestHead
from service.wire.native.dialect import NativeDialect
from service.wire.oip.dialect import OipDialect

KiB, MiB = 1 << 10, 1 << 20
FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("content_type", "body_bytes", "expected"),
    [
        (FORM, 2 * MiB, True),
        (FORM, 2 * MiB + 1, False),
        ("image/png", 2 * MiB, True),
        ("application/json", 256 * KiB, True),
        ("Application/JSON; charset=utf-8", 256 * KiB + 1, False),
    ],
)
def test_forms_and_files_are_only_searched_and_json_is_parsed(content_type, body_bytes, expected):
    head = RequestHead({"content-type": content_type}, {}, None)

    assert NativeDialect(ImageLimits()).parses_inline(head, body_bytes) is expected


@pytest.mark.parametrize(
    ("length", "body_bytes", "expected"),
    [
        ("300", 64 * MiB, True),
        (str(64 * KiB + 1), 64 * MiB, False),
        (str(64 * KiB + 1), 300, True),
        ("9" * 5000, 64 * MiB, False),
        ("-1", 64 * MiB, False),
        (None, 64 * KiB + 1, False),
    ],
)
def test_of_raw_tensors_only_the_json_before_them_counts(length, body_bytes, expected):
    headers = {} if length is None else {"inference-header-content-length": length}
    head = RequestHead(headers, {}, None)

    assert OipDialect(ImageLimits()).parses_inline(head, body_bytes) is expected
