import io
import zipfile

import numpy as np
import pytest

from lacuna.errors import ImageTooLargeError, InvalidImageError
from lacuna.raster.images import decode_image
from lacuna.raster.limits import ImageLimits
from lacuna.raster.npy import labels_npz, read_npy, write_npy
from tests.support.images import noise, npy_file, npy_header
from tests.support.jemalloc import needs_jemalloc, run_with_jemalloc

LIMITS = ImageLimits()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_numbers_keep_values_and_dtype_and_have_no_white(dtype):
    values = noise(5, 7, 3, dtype=dtype)
    raster = decode_image(npy_file(values), LIMITS)
    np.testing.assert_array_equal(raster.values, values)
    assert raster.values.dtype == dtype
    assert (raster.valid, raster.full_scale) == (None, None)


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint64", "float16", "float64"]
)
def test_other_numbers_become_float32(dtype):
    values = noise(5, 7, dtype=dtype)
    raster = decode_image(npy_file(values), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], values.astype(np.float32))


def test_booleans_become_0_and_1():
    values = noise(5, 7) > 128
    raster = decode_image(npy_file(values), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], values.astype(np.uint8))


def test_what_is_beyond_float32_becomes_infinite():
    raster = decode_image(npy_file(np.array([[1e300, -1e300]])), LIMITS)
    assert raster.values[0, :, 0].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("shape", "expected"), [((5, 7), (5, 7, 1)), ((5, 7, 2), (5, 7, 2)), ((1, 5, 7, 2), (5, 7, 2))]
)
def test_shapes_of_one_image_are_taken(shape, expected):
    assert decode_image(npy_file(noise(*shape)), LIMITS).values.shape == expected


@pytest.mark.parametrize("shape", [(), (5,), (2, 5, 7, 3), (1, 1, 5, 7, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InvalidImageError, match=r"array must be \(H, W\)"):
        decode_image(npy_file(np.zeros(shape)), LIMITS)


def test_fortran_order_reads_the_same():
    values = np.asfortranarray(noise(5, 7, 3))
    np.testing.assert_array_equal(decode_image(npy_file(values), LIMITS).values, values)


@pytest.mark.parametrize("dtype", [">u2", ">f4", ">f8", ">i4"])
def test_big_endian_reads_the_same(dtype):
    values = noise(5, 7, dtype=np.dtype(dtype).newbyteorder("=")).astype(dtype)
    raster = decode_image(npy_file(values), LIMITS)
    np.testing.assert_array_equal(raster.values[:, :, 0], values.astype(raster.values.dtype))
    assert raster.values.dtype.isnative


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version):
    values = noise(5, 7)
    np.testing.assert_array_equal(read_npy(npy_file(values, version)), values)


def test_a_later_version_is_refused():
    data = npy_file(noise(5, 7)).replace(b"NUMPY\x01", b"NUMPY\x04")
    with pytest.raises(InvalidImageError, match="version 1, 2 or 3; it is 4"):
        read_npy(data)


@pytest.mark.parametrize("quote", "'\"")
def test_a_header_may_use_either_quote_and_any_order(quote):
    header = "{'shape': (1, 2),'fortran_order':False , 'descr': '<u2'}".replace("'", quote)
    assert read_npy(npy_header(header) + b"\1\0\2\0").tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "values",
    [
        np.ones((5, 7), np.complex64),
        np.zeros((5, 7), "datetime64[s]"),
        np.zeros((5, 7), "timedelta64[s]"),
        np.full((5, 7), "a"),
        np.full((5, 7), b"a"),
        np.zeros((5, 7), [("a", "u1")]),
        np.zeros((5, 7), np.longdouble),
    ],
    ids=lambda values: str(values.dtype),
)
def test_what_are_not_real_numbers_of_64_bits_is_refused(values):
    with pytest.raises(InvalidImageError, match="NPY must hold booleans, integers or floating"):
        decode_image(npy_file(values), LIMITS)


def test_pickled_objects_are_refused_and_not_loaded():
    buffer = io.BytesIO()
    np.save(buffer, np.array([[object]]), allow_pickle=True)
    with pytest.raises(InvalidImageError, match=r"it holds '\|O'"):
        decode_image(buffer.getvalue(), LIMITS)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_fewer_or_more_bytes_than_the_shape_takes_are_refused(change):
    with pytest.raises(InvalidImageError, match=r"the 35 bytes that its shape \(5, 7\) takes"):
        decode_image(change(npy_file(noise(5, 7))), LIMITS)


@pytest.mark.parametrize("kept", [7, 11, 40, 90])
def test_a_header_cut_short_is_refused(kept):
    with pytest.raises(InvalidImageError, match="NPY"):
        decode_image(npy_file(noise(5, 7))[:kept], LIMITS)


@pytest.mark.parametrize(
    "header",
    [
        "{}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 5), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5L, 5L), }",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (5, 5), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 30 + ", 5), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5 5), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "5" * 9000 + "x), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "5 " * 4500 + "), }",
        "{'descr': 'u999', 'fortran_order': False, 'shape': (5, 5), }",
        "__import__('os').system('true')",
    ],
    ids=lambda header: header[-40:],
)
def test_a_header_that_says_something_else_is_refused(header):
    with pytest.raises(InvalidImageError, match="NPY"):
        decode_image(npy_header(header) + bytes(25), LIMITS)


def test_a_header_of_megabytes_is_refused():
    data = b"\x93NUMPY\x02\x00" + (10**7).to_bytes(4, "little") + bytes(100)
    with pytest.raises(InvalidImageError, match="at most 10000 bytes"):
        decode_image(data, LIMITS)


def test_no_pixels_are_refused():
    with pytest.raises(InvalidImageError, match="at least one pixel; it is 0×7"):
        decode_image(npy_file(np.zeros((0, 7))), LIMITS)


def test_the_limit_is_on_what_the_header_says_and_not_on_what_follows():
    with pytest.raises(ImageTooLargeError):
        decode_image(npy_file(noise(5, 7)), ImageLimits(image_pixels=34))


def test_what_is_written_numpy_loads():
    values = noise(5, 7, 3, dtype=np.float32)
    np.testing.assert_array_equal(np.load(io.BytesIO(write_npy(values))), values)


def test_labels_are_saved_as_they_are():
    labels = noise(5, 7)
    np.testing.assert_array_equal(np.load(io.BytesIO(write_npy(labels))), labels)


def test_labels_and_probabilities_are_saved_together():
    labels, probabilities = noise(5, 7), noise(5, 7, 4, dtype=np.float32)
    with np.load(io.BytesIO(labels_npz(labels, probabilities))) as saved:
        np.testing.assert_array_equal(saved["labels"], labels)
        np.testing.assert_array_equal(saved["probabilities"], probabilities)


def test_the_archive_is_stored_and_not_deflated():
    data = labels_npz(noise(5, 7), noise(5, 7, 4, dtype=np.float32))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_STORED}


@needs_jemalloc
def test_a_large_answer_leaves_no_copies_to_an_allocator_that_keeps_what_is_freed():
    printed = run_with_jemalloc("""
import numpy as np
from lacuna.raster.npy import labels_npz
from service.engine.memory import read_resident_bytes

labels = np.zeros((1600, 1600), np.uint8)
planes = {str(number): np.ones((1600, 1600), np.float32) for number in range(8)}
before_bytes = read_resident_bytes()
answer = labels_npz(labels, **planes)
print((read_resident_bytes() - before_bytes) / len(answer))
""")

    assert 1 < float(printed) < 1.5
