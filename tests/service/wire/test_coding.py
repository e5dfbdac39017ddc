import gzip
import tracemalloc
import zlib

import pytest

from lacuna.errors import BodyTooLargeError, MalformedRequestError, UnsupportedMediaTypeError
from service.wire.coding import choose_coding, compress_for, decompress, read_coding

TEXT = b"a segmentation of an image " * 100
CODED = {"gzip": gzip.compress(TEXT, mtime=0), "deflate": zlib.compress(TEXT)}


@pytest.mark.parametrize("header", [None, "", "identity", " Identity "])
def test_a_body_without_a_coding_is_one_as_it_is(header):
    assert read_coding(header) is None


@pytest.mark.parametrize("header", ["gzip", "GZIP", " deflate"])
def test_a_known_coding_is_read(header):
    assert read_coding(header) == header.strip().lower()


@pytest.mark.parametrize("header", ["br", "zstd", "gzip, gzip", "x"])
def test_another_coding_is_refused_with_those_that_are_read(header):
    with pytest.raises(UnsupportedMediaTypeError, match="one of gzip, deflate; it is"):
        read_coding(header)


@pytest.mark.parametrize("coding", CODED)
def test_a_coding_is_undone(coding):
    assert decompress(CODED[coding], coding, len(TEXT)) == TEXT
    assert decompress(bytearray(CODED[coding]), coding, len(TEXT)) == TEXT


@pytest.mark.parametrize("coding", CODED)
def test_the_limit_is_that_of_what_comes_out(coding):
    with pytest.raises(
        BodyTooLargeError, match="decompressed body must have at most 2699 bytes; it has more"
    ):
        decompress(CODED[coding], coding, len(TEXT) - 1)


def test_a_bomb_is_refused_before_it_takes_memory():
    work = zlib.compressobj(9, wbits=31)
    megabytes = [work.compress(bytes(1 << 20)) for _ in range(256)]
    bomb = b"".join([*megabytes, work.flush()])

    tracemalloc.start()
    with pytest.raises(BodyTooLargeError):
        decompress(bomb, "gzip", 1 << 20)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 4 << 20


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (CODED["gzip"][:-9], "it is truncated"),
        (b"", "it is truncated"),
        (CODED["gzip"] + b"more", "4 bytes follow it"),
        (CODED["gzip"] * 2, "bytes follow it"),
        (TEXT, "the body must be gzip"),
        (CODED["deflate"], "the body must be gzip"),
    ],
)
def test_what_is_not_one_whole_stream_is_refused(body, message):
    with pytest.raises(MalformedRequestError, match=message):
        decompress(body, "gzip", 10_000)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("gzip;q=0, *", "deflate"),
        ("*", "gzip"),
        ("br", None),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
    ],
)
def test_the_wish_of_highest_quality_is_met(accepted, chosen):
    assert choose_coding(accepted, 10_000) == chosen


def test_a_short_answer_is_sent_as_it_is():
    assert choose_coding("gzip", 100) is None
    assert compress_for("gzip", b"short") == ({}, b"short")


@pytest.mark.parametrize(
    ("coding", "undo"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
def test_an_answer_comes_in_the_coding_that_its_header_names(coding, undo):
    headers, content = compress_for(coding, TEXT)

    assert headers == {"Content-Encoding": coding}
    assert undo(content) == TEXT
    assert compress_for(coding, TEXT) == (headers, content)
