import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipart import MultipartSegment, PushMultipartParser

from lacuna.errors import MalformedRequestError
from service.wire.multipart import MAX_HEAD_BYTES, parse_form

TYPE = "multipart/form-data; boundary=cut"


def make_form(*parts: tuple[str, bytes], end: bytes = b"--cut--\r\n") -> bytes:
    body = b"".join(
        b"--cut\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return body + end


@given(st.binary(max_size=200).filter(lambda data: b"--cut" not in data))
def test_a_file_comes_out_as_it_went_in(data):
    parts = parse_form(make_form(('name="image"; filename="a.png"', data)), TYPE)

    assert parts["image"].data == data


def test_a_file_larger_than_memory_limits_of_the_parser_stays_in_memory():
    data = bytes(3 << 20)

    assert parse_form(make_form(('name="image"; filename="a"', data)), TYPE)["image"].data == data


def test_the_declared_type_of_a_file_is_kept():
    head = 'name="image"; filename="a"\r\nContent-Type: image/png'

    assert parse_form(make_form((head, b"x")), TYPE)["image"].media_type == "image/png"


def test_a_field_without_a_file_name_is_a_part_too():
    assert parse_form(make_form(('name="nodata"', b"7")), TYPE)["nodata"].data == b"7"


def test_a_field_given_twice_is_refused():
    with pytest.raises(MalformedRequestError, match="it has model twice"):
        parse_form(make_form(('name="model"', b"a"), ('name="model"', b"b")), TYPE)


@pytest.mark.parametrize(
    "body",
    [
        make_form(('name="image"; filename="a"', b"x"), end=b""),
        make_form(('name="image"; filename="a"', b"x"))[:-12],
        b"--cut",
        b"",
    ],
)
def test_a_form_that_is_cut_short_is_refused(body):
    with pytest.raises(MalformedRequestError, match="truncated"):
        parse_form(body, TYPE)


@pytest.mark.parametrize("body", [b"nothing of a form", make_form(("no name here", b"x"))])
def test_a_damaged_form_is_refused(body):
    with pytest.raises(MalformedRequestError, match="the form must be multipart/form-data"):
        parse_form(body, TYPE)


def test_a_form_without_a_boundary_is_refused():
    with pytest.raises(MalformedRequestError, match="must name the form's boundary"):
        parse_form(b"x", "multipart/form-data")


@given(st.binary(max_size=100))
def test_no_body_breaks_the_parser(body):
    with contextlib.suppress(MalformedRequestError):
        parse_form(b"--cut\r\n" + body, TYPE)


@given(
    st.dictionaries(
        st.text('abc %"\\;=é', min_size=1, max_size=8),
        st.lists(st.sampled_from([b"--cut", b"\r\n", b"--", b"-cut", b"x", b"\0"])).map(b"".join),
        max_size=3,
    )
)
def test_a_form_says_what_a_streaming_parser_reads_in_it(fields):
    form = make_form(
        *((f'name="{name.replace(chr(34), "%22")}"', data) for name, data in fields.items())
    )

    try:
        expected = read_by_the_library(form)
    except ValueError:
        with pytest.raises(MalformedRequestError):
            parse_form(form, TYPE)
    else:
        found = parse_form(form, TYPE)
        assert {name: bytes(part.data) for name, part in found.items()} == expected


def read_by_the_library(form):
    fields, name = {}, ""
    with PushMultipartParser("cut", strict=True) as parser:
        for event in parser.parse(form):
            if isinstance(event, MultipartSegment):
                name = event.name
                if name in fields:
                    raise ValueError("twice")
                fields[name] = b""
            elif event is not None:
                fields[name] += event
    return fields


def test_nothing_of_a_file_is_copied():
    form = bytearray(make_form(('name="image"; filename="a"', b"abc")))

    image = parse_form(form, TYPE)["image"].data
    form[form.index(b"abc")] = ord("x")

    assert image == b"xbc"


@pytest.mark.parametrize("length", [MAX_HEAD_BYTES, 100 * MAX_HEAD_BYTES])
def test_a_head_without_end_is_refused(length):
    with pytest.raises(MalformedRequestError, match=f"more than {MAX_HEAD_BYTES} bytes"):
        parse_form(make_form(('name="image"; x="' + "y" * length + '"', b"z")), TYPE)


@pytest.mark.parametrize("after", [b"x", b"\n", b" \r\n", b"-\r\n"])
def test_a_line_that_only_begins_like_a_boundary_is_refused(after):
    with pytest.raises(MalformedRequestError, match="text follows a boundary"):
        parse_form(b"--cut" + after + make_form(('name="a"', b"")), TYPE)
