import numpy as np
import pytest

from lacuna.raster.limits import ImageLimits
from lacuna.sample import Sample
from service.bench.question import Address, build_question, parse_address
from service.wire.native.request import parse_request

RNG = np.random.default_rng(0)
SAMPLE = Sample(RNG.integers(0, 256, (5, 7, 3), np.uint8), RNG.random((5, 7)) < 0.5)


def split(request):
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return line, dict(field.split(": ") for field in fields), body


def test_the_request_is_what_the_server_reads_as_image_mask_and_parameters():
    question = build_question(Address("there", 80), SAMPLE, {"model": "fake"})

    _, fields, body = split(question.request)
    asked = parse_request(fields["Content-Type"], {}, body, ImageLimits())
    assert asked.parameters.model == "fake"
    assert np.array_equal(asked.entry.read_image(ImageLimits()).values, SAMPLE.image)
    assert np.array_equal(asked.entry.read_mask(ImageLimits()), SAMPLE.mask)


def test_the_head_says_all_that_the_answer_depends_on():
    question = build_question(Address("there", 81, prefix="/seg"), SAMPLE)

    line, fields, body = split(question.request)
    assert line == "POST /seg/v1/segment HTTP/1.1"
    assert fields["Host"] == "there:81"
    assert fields["Accept"] == "application/x-npy"
    assert int(fields["Content-Length"]) == len(body)


def test_a_question_knows_its_pixels():
    question = build_question(Address("there", 80), SAMPLE)

    assert (question.pixels, question.valid_pixels) == (35, SAMPLE.mask.sum())


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8000", Address("127.0.0.1", 8000)),
        ("http://[::1]:8000/", Address("::1", 8000)),
        ("http://there", Address("there", 80)),
        ("https://there/seg/", Address("there", 443, secure=True, prefix="/seg")),
    ],
)
def test_urls_are_read(url, address):
    assert parse_address(url) == address


def test_an_address_of_version_six_stands_in_brackets():
    assert b"Host: [::1]:8000\r\n" in Address("::1", 8000).build_head("GET", "/")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://there", "http://", "there"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="a URL must be like"):
        parse_address(url)
