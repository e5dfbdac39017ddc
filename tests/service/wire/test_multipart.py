import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipart import MultipartSegment, PushMultipartParser

from lacuna.errors import MalformedRequestError
from service.wire.multipart import MAX_FIELDS, MAX_HEAD_BYTES, parse_form

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


@pytest.mark.parametrize("after", [b"x", b"\n", b" \n", b"-\r\n", b" x\r\n", b"\r\r\n"])
def test_a_line_that_only_begins_like_a_boundary_is_refused(after):
    with pytest.raises(MalformedRequestError, match="text follows a boundary"):
        parse_form(b"--cut" + after + make_form(('name="a"', b"")), TYPE)


PART = ('name="image"; filename="a.png"', b"x\r\n--cu\n--cut\r\n\r\n")
FORM = make_form(PART, ('name="nodata"', b"7"))


def check_parts(body, content_type=TYPE):
    parts = parse_form(body, content_type)
    assert {name: bytes(part.data) for name, part in parts.items()} == {
        "image": PART[1],
        "nodata": b"7",
    }


@pytest.mark.parametrize(
    "before",
    [b"\r\n", b"\r\n\r\n", b"A preamble\r\n", b"--cu\r\n --cut\n--cut\r\n"],
)
def test_what_precedes_the_first_boundary_is_ignored(before):
    check_parts(before + FORM)


@pytest.mark.parametrize(
    "after", [b"", b"\r\n", b" \t\r\n", b"An epilogue", b"\r\n--cut\r\nno part", b"--"]
)
def test_what_follows_the_last_boundary_is_ignored(after):
    check_parts(FORM.removesuffix(b"\r\n") + after)


@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t  ", b" " * 100_000])
def test_blanks_behind_a_boundary_are_ignored(blanks):
    check_parts(FORM.replace(b"--cut\r\nContent", b"--cut" + blanks + b"\r\nContent"))


def test_lines_that_end_with_lf_alone_are_refused_by_name():
    with pytest.raises(MalformedRequestError, match="its line ends with LF, not CRLF"):
        parse_form(FORM.replace(b"\r\n", b"\n"), TYPE)


@pytest.mark.parametrize("body", [b"\r\n", b"\r\n--c", b"--cut ", b"--cut\t\t", b"\r\n--cut\r"])
def test_a_form_that_is_cut_short_before_its_first_field_is_truncated(body):
    with pytest.raises(MalformedRequestError, match="truncated"):
        parse_form(body, TYPE)


@pytest.mark.parametrize(
    "head",
    [
        'content-disposition: form-data; name="image"; filename="a.png"',
        "CONTENT-DISPOSITION:form-data;name=image;filename=a.png",
        'Content-Type: image/png\r\nContent-Disposition: form-data; name="image"; filename="a.png"',
        'Content-Disposition: form-data;\r\n name="image";\r\n\tfilename="a.png"',
        "Content-Disposition: form-data; name=\"image\"; filename*=UTF-8''%c3%a4.png",
        'Content-Disposition: form-data; name="image"; filename="C:\\\\a.png"',
        'X-Other: 1\r\nContent-Disposition: attachment; name="image"; filename=""',
    ],
)
def test_heads_are_read_however_they_are_written(head):
    form = b"--cut\r\n" + head.encode() + b"\r\n\r\nx\r\n--cut--"

    assert parse_form(form, TYPE)["image"].data == b"x"


def test_a_name_in_the_coding_of_mail_is_none():
    """RFC 7578 has no `name*`, and no client sends it."""
    with pytest.raises(MalformedRequestError, match="a field has no name"):
        parse_form(make_form(("name*=utf-8''image", b"x")), TYPE)


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="cut"',
        "Multipart/Form-Data; Boundary=cut",
        "multipart/form-data;charset=utf-8;boundary=cut",
        "multipart/form-data; boundary=cut ",
    ],
)
def test_the_boundary_is_found_however_it_is_written(content_type):
    check_parts(FORM, content_type)


@pytest.mark.parametrize(
    ("head", "data", "is_left_empty"),
    [
        ('name="mask"; filename=""', b"", True),
        ('name="mask"; filename=""\r\nContent-Type: application/octet-stream', b"", True),
        ('name="mask"; filename=""', b"x", False),
        ('name="mask"; filename="m.png"', b"", False),
        ('name="mask"', b"", False),
    ],
)
def test_a_file_field_that_was_left_empty_is_known(head, data, is_left_empty):
    assert parse_form(make_form((head, data)), TYPE)["mask"].is_left_empty is is_left_empty


def test_a_form_of_very_many_fields_is_refused_before_they_are_read():
    fields = b"".join(
        b"--b\r\nContent-Disposition: form-data; name=%d\r\n\r\n\r\n" % number
        for number in range(MAX_FIELDS + 2)
    )

    with pytest.raises(MalformedRequestError, match="at most 64 fields; it has more"):
        parse_form(fields + b"no more of a form than this", "multipart/form-data; boundary=b")


def test_a_form_of_as_many_fields_as_allowed_is_read():
    fields = b"".join(
        b"--b\r\nContent-Disposition: form-data; name=%d\r\n\r\n\r\n" % number
        for number in range(MAX_FIELDS)
    )

    assert len(parse_form(fields + b"--b--", "multipart/form-data; boundary=b")) == MAX_FIELDS
