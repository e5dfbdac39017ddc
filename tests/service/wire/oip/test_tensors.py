import numpy as np
import pytest

from lacuna.errors import MalformedRequestError
from service.wire.oip.tensors import IMAGE_DATATYPES, MASK_DATATYPES, Tensor, count_bytes

DTYPES = {
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
VALUES = [[1, 2, 3], [4, 5, 100]]


def read_raw(datatype, array):
    return Tensor("image", datatype, array.shape, memoryview(array.tobytes())).read()


def read_lists(data, datatype="UINT8", shape=(2, 3)):
    return Tensor("image", datatype, shape, data).read()


@pytest.mark.parametrize("datatype", DTYPES)
def test_raw_bytes_are_little_endian_and_row_major(datatype):
    array = np.array(VALUES, np.dtype(DTYPES[datatype]).newbyteorder("<"))

    assert np.array_equal(read_raw(datatype, array), VALUES)
    assert count_bytes(datatype, array.shape) == array.nbytes


def test_raw_bytes_may_begin_anywhere():
    array = np.array(VALUES, np.float64)
    raw = memoryview(b"abc" + array.tobytes())[3:]

    assert np.array_equal(Tensor("image", "FP64", (2, 3), raw).read(), VALUES)


def test_bfloat16_is_the_upper_half_of_float32():
    upper = (np.array([1.0, -2.5, 100.0], np.float32).view(np.uint32) >> 16).astype("<u2")

    assert read_raw("BF16", upper).tolist() == [1.0, -2.5, 100.0]


def test_every_byte_of_a_bool_but_0_is_true():
    assert (read_raw("BOOL", np.array([0, 1, 2, 255], np.uint8)) != 0).tolist() == [
        False,
        True,
        True,
        True,
    ]


def test_an_image_may_have_any_number_and_a_mask_any_integer():
    assert set(IMAGE_DATATYPES) == {*DTYPES, "BF16"}
    assert set(MASK_DATATYPES) == {"BOOL", *(name for name in DTYPES if "FP" not in name)}


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "FP16"])
@pytest.mark.parametrize("data", [VALUES, [*VALUES[0], *VALUES[1]]], ids=["nested", "flat"])
def test_lists_may_be_nested_or_flat(datatype, data):
    read = read_lists(data, datatype)

    assert np.array_equal(read, VALUES)
    assert read.dtype == DTYPES[datatype]


def test_lists_may_hold_numbers_that_are_none():
    read = read_lists([1.5, None, float("nan"), float("inf"), 1e300, 2], "FP32")

    assert np.array_equal(
        read.ravel(), np.float32([1.5, np.nan, np.nan, np.inf, np.inf, 2]), equal_nan=True
    )


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_floats_do_not_come_as_json(datatype):
    with pytest.raises(MalformedRequestError, match=f"must be raw bytes if .* is {datatype}"):
        read_lists([1.0] * 6, datatype)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2, 3, 4, 5], r"must hold 6 numbers, for its shape \[2, 3\]; it holds 5"),
        ([], "it holds 0"),
        ([[1, 2, 3], [4, 5]], "ragged or has another shape"),
        ([[1, 2], [3, 4], [5, 6]], "ragged or has another shape"),
        ([[1, 2, 3], 4], "ragged or has another shape"),
        ([[[1], [2], [3]], [[4], [5], [6]]], "it holds a list"),
        ([1, 2, 3, 4, 5, 256], "must be in the range of UINT8; a number is not"),
        ([1, 2, 3, 4, 5, -1], "must be in the range of UINT8; a number is not"),
        ([1, 2, 3, 4, 5, 6.0], "must be UINT8; it holds a float"),
        ([1, 2, 3, 4, 5, True], "must be UINT8; it holds a bool"),
        ([1, 2, 3, 4, 5, None], "must be UINT8; it holds a NoneType"),
        ([1, 2, 3, 4, 5, "6"], "must be UINT8; it holds a str"),
    ],
)
def test_lists_of_anything_else_are_refused(data, message):
    with pytest.raises(MalformedRequestError, match=message):
        read_lists(data)


def test_a_number_beyond_all_bounds_is_refused():
    with pytest.raises(MalformedRequestError, match="must be in the range of FP64"):
        read_lists([10**400, 1, 1, 1, 1, 1], "FP64")
