import json
import math
import tracemalloc

import pytest

from lacuna.errors import EmptyBodyError, ImageTooLargeError, MalformedRequestError
from lacuna.raster.limits import ImageLimits
from service.wire.json_object import estimate_parse_bytes, read_member, read_object

LIMITS = ImageLimits(image_pixels=100)


def test_an_object_is_read_with_numbers_that_are_none():
    content = read_object(b'{"a": [NaN, Infinity, -Infinity, 1e3]}', LIMITS)

    assert math.isnan(content["a"][0])
    assert content["a"][1:] == [math.inf, -math.inf, 1000]


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[1]",
        b"7",
        b'{"a": 1} x',
        b"\xff",
        b'{"a": ' + b"[" * 1000,
        b'{"a": ' + b"1" * 100_000_000 + b"}",
        b'{"a": "\xed\xa0\x80"}',
    ],
    ids=["open", "list", "number", "trailing", "no UTF-8", "deep", "100 MB of digits", "surrogate"],
)
def test_what_is_no_object_is_refused(text):
    with pytest.raises(MalformedRequestError, match="the body must be"):
        read_object(text, LIMITS)


def test_an_empty_body_is_said_to_be_empty():
    with pytest.raises(EmptyBodyError, match="it has 0 bytes"):
        read_object(b"", LIMITS)


def test_numbers_are_counted_before_they_are_read():
    # Not even JSON: it is refused for its commas.
    with pytest.raises(ImageTooLargeError, match="at most 10500 numbers; it holds more"):
        read_object(b"," * 10_500, LIMITS)


def test_the_largest_image_and_its_mask_are_not_too_many_numbers():
    numbers = b",".join([b"1"] * 400)
    read_object(b'{"image": [' + numbers + b'], "mask": [' + numbers[:199] + b"]}", LIMITS)


def test_a_member_is_of_its_kind_or_there_is_none():
    content = {"a": 1, "b": "x", "c": None}

    assert read_member(content, "a", int, "it") == 1
    assert read_member(content, "b", str, "it") == "x"
    assert read_member(content, "c", list, "it") is None
    assert read_member(content, "d", dict, "it") is None


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (True, int, "a of an input must be an integer; it is of type bool"),
        (1.0, int, "an integer; it is of type float"),
        (1, bool, "true or false; it is of type int"),
        ({}, list, "a list; it is of type dict"),
        ([], dict, "an object; it is of type list"),
        (1, str, "text; it is of type int"),
    ],
)
def test_a_member_of_another_kind_is_refused(value, kind, message):
    with pytest.raises(MalformedRequestError, match=message):
        read_member({"a": value}, "a", kind, "an input")


@pytest.mark.parametrize(
    "text", [b'\xef\xbb\xbf{"a": 1}', b'\xef\xbb\xbf \r\n{"a": 1}\n', b'\n{"a": 1}']
)
def test_a_byte_order_mark_and_blanks_are_ignored(text):
    assert read_object(text, LIMITS) == {"a": 1}
    assert read_object(bytearray(text), LIMITS) == {"a": 1}


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_another_encoding_is_refused_by_name(encoding):
    with pytest.raises(MalformedRequestError, match=r"must be JSON in UTF-8; it .* UTF-16"):
        read_object('{"a": 1}'.encode(encoding), LIMITS)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b'{"image": [[1]], "image": [[2]]}', "image"),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "b"),
        (b'{"a": [{"b": "x", "b": "y"}]}', "b"),
        (b'{"a": [[{"b": 1, "b": 2}]]}', "b"),
        (b'{"a": "\\"", "\\u0061": 1}', "a"),
    ],
)
def test_a_name_that_is_there_twice_is_refused(text, name):
    with pytest.raises(MalformedRequestError, match=f"each name once; it has {name} twice"):
        read_object(text, LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": {"a": {"a": [{"a": 1}, {"a": 2}]}}}',
        b'{"a": ["a", "a", "\\"a\\""], "\\"": "\\u0022"}',
        b'{"a": [["a", "b"], ["a"]], "b": []}',
        b'{"a": [1, "a", {"b": 1}], "c": NaN}',
    ],
)
def test_the_same_name_in_other_objects_is_not(text):
    assert read_object(text, LIMITS).keys() == json.loads(text).keys()


def test_lists_without_commas_are_counted_before_they_are_read():
    # Not even JSON: it is refused for its brackets.
    with pytest.raises(ImageTooLargeError, match="at most 10400 lists and objects; it holds more"):
        read_object(b'{"a": ' + b"[" * 10_400, LIMITS)


@pytest.mark.parametrize(
    ("unit", "count"),
    [
        (b"1.5", 500_000),
        (b"[]", 300_000),
        (b"{}", 300_000),
        (b"[1.5]", 200_000),
        (b'{"a":1}', 100_000),
        (b"[" * 150 + b"]" * 150, 2_000),
        (b'{"a":' * 150 + b"1" + b"}" * 150, 1_000),
        (b'"' + b"x" * 4_000_000 + b'"', 1),
        (b'"' + b"x" * 4_000_000 + "😀".encode() + b'"', 1),
        (b'"' + b"x" * 4_000_000 + b'\\ud83d\\ude00"', 1),
    ],
    ids=["numbers", "lists", "objects", "short lists", "members", "deep lists", "deep objects",
         "text", "emoji", "escaped emoji"],
)  # fmt: skip
def test_the_estimate_covers_what_the_values_take(unit, count):
    text = b'{"a":[' + b",".join([unit] * count) + b"]}"

    tracemalloc.start()
    try:
        content = read_object(text, ImageLimits())
        taken_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert content["a"]
    assert taken_bytes <= estimate_parse_bytes(text)


def test_text_in_the_lists_of_an_image_costs_no_second_parsing():
    text = b'{"image": [["a"' + b",1.5" * 200_000 + b"]]}"

    tracemalloc.start()
    try:
        content = read_object(text, ImageLimits())
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(content["image"][0]) == 200_001
    assert peak_bytes < kept_bytes + len(text)


def test_finding_a_repeated_name_takes_no_more_than_parsing():
    text = b'{"image": [["a"' + b",1.5" * 200_000 + b']], "b": 1, "b": 2}'

    tracemalloc.start()
    try:
        with pytest.raises(MalformedRequestError, match="it has b twice"):
            read_object(text, ImageLimits())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes <= estimate_parse_bytes(text)
