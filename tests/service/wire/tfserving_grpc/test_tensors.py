import ml_dtypes
import numpy as np
import pytest

from lacuna.errors import MalformedRequestError
from service.wire.tfserving_grpc.tensors import IMAGE_TYPES, MASK_TYPES, read_tensor
from tests.support.tfserving import DT, DT_BFLOAT16, DT_STRING, make_shaped, make_tensor

NUMBERS = np.array([[0, 1, 2.5], [-3, 100, 1e-3]])
SHAPE = (2, 3)
FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "uint8": "int_val",
    "int16": "int_val",
    "int8": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "uint16": "int_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}
ALL_TYPES = {*IMAGE_TYPES, *MASK_TYPES}


def read(tensor, types=ALL_TYPES, ranks=(2,)):
    """Read a tensor; the content is taken out of the message, as it is there."""
    content = memoryview(tensor.tensor_content)
    tensor.ClearField("tensor_content")
    return read_tensor("image", tensor, content, types, ranks)


def expect(dtype):
    return (np.abs(NUMBERS) if dtype.startswith("u") else NUMBERS).astype(dtype)


@pytest.mark.parametrize("dtype", sorted(DT))
def test_numbers_as_bytes_are_read(dtype):
    array = expect(dtype)

    found = read(make_tensor(array)).array
    assert np.array_equal(found.astype(dtype), array)


@pytest.mark.parametrize("dtype", sorted(FIELDS))
def test_numbers_in_the_field_of_their_type_are_read(dtype):
    array = expect(dtype)
    values = {FIELDS[dtype]: array.ravel().tolist()}

    found = read(make_shaped(DT[dtype], SHAPE, **values)).array
    assert np.array_equal(found.astype(dtype), array)


@pytest.mark.parametrize(
    ("number", "dtype"), [(DT["float16"], np.float16), (DT_BFLOAT16, ml_dtypes.bfloat16)]
)
def test_numbers_of_half_precision_are_read_from_their_bits(number, dtype):
    array = NUMBERS.astype(dtype)
    bits = array.view(np.uint16)
    as_field = make_shaped(number, SHAPE, half_val=bits.ravel().tolist())
    as_bytes = make_shaped(number, SHAPE, tensor_content=array.tobytes())

    for tensor in (as_field, as_bytes):
        assert np.array_equal(read(tensor).array, array.astype(np.float32))


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_the_last_number_stands_for_all_that_follow_it(count):
    values = NUMBERS.astype(np.float32).ravel()
    found = read(make_shaped(DT["float32"], SHAPE, float_val=values[:count].tolist())).array

    expected = np.concatenate([values[:count], np.full(6 - count, values[count - 1])])
    assert np.array_equal(found, expected.reshape(SHAPE))


@pytest.mark.parametrize("dtype", ["float32", "uint8", "uint16", "bool"])
def test_bytes_that_a_model_can_take_are_not_copied(dtype):
    tensor = make_tensor(np.ones(SHAPE, dtype))
    content = memoryview(tensor.tensor_content)
    tensor.ClearField("tensor_content")
    found = read_tensor("image", tensor, content, ALL_TYPES, (2,))

    assert np.shares_memory(found.array, np.frombuffer(content, np.uint8))
    assert found.estimate_bytes() == 0


def test_the_memory_of_one_number_that_stands_for_many_is_estimated():
    found = read(make_shaped(DT["float32"], (1000, 1000), float_val=[1]))

    assert found.estimate_bytes() >= found.array.nbytes


@pytest.mark.parametrize("types", [IMAGE_TYPES, MASK_TYPES])
def test_the_types_of_images_and_masks_differ(types):
    wrong = {"DT_BOOL"} if types is IMAGE_TYPES else {"DT_FLOAT", "DT_DOUBLE", "DT_HALF"}

    assert not wrong & set(types)
    assert {"DT_UINT8", "DT_INT64", "DT_STRING"} <= set(types)


def test_encoded_files_are_kept_as_they_are():
    found = read(make_shaped(DT_STRING, (2,), string_val=[b"one", b"two"]))

    assert list(found.values) == [b"one", b"two"]
    assert found.shape == (2,)


@pytest.mark.parametrize(
    ("dtype", "field", "value"),
    [
        ("uint8", "int_val", 256),
        ("uint8", "int_val", -1),
        ("int8", "int_val", 128),
        ("int16", "int_val", 1 << 15),
        ("uint16", "int_val", 1 << 16),
        ("float16", "half_val", -1),
    ],
)
def test_a_number_out_of_the_range_of_its_type_is_refused(dtype, field, value):
    tensor = read(make_shaped(DT[dtype], SHAPE, **{field: [value]}))

    with pytest.raises(MalformedRequestError, match=f"{field} of image must be in the range of"):
        _ = tensor.array
