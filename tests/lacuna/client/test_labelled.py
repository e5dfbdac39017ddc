import numpy as np
import pytest
import xarray

from lacuna.client import Client
from lacuna.client.calls import Question
from lacuna.client.labelled import is_labelled
from lacuna.client.preparation import prepare
from tests.support.images import noise

VALUES = noise(5, 7, 3)
NORTH, EAST = np.linspace(50, 40, 5), np.linspace(100, 160, 7)


def make_image(*dims):
    """An image whose dimensions have an order, with coordinates, as rioxarray reads it."""
    coords = {"y": NORTH, "x": EAST, "band": [1, 2, 3], "spatial_ref": 0}
    image = xarray.DataArray(VALUES, dims=("y", "x", "band"), coords=coords)
    return image.transpose(*dims)


@pytest.fixture
def client(address):
    with Client(f"http://{address}") as client:
        yield client


@pytest.mark.parametrize("dims", [("band", "y", "x"), ("y", "x", "band"), ("y", "band", "x")])
def test_the_bands_of_a_labelled_array_are_its_channels_wherever_they_are(dims):
    assert np.array_equal(prepare(Question(make_image(*dims))).image, VALUES)


def test_a_mask_is_turned_as_its_image_is():
    mask = xarray.DataArray(VALUES[:, :, 0] > 99, dims=("y", "x"))

    prepared = prepare(Question(make_image("band", "x", "y"), mask))

    assert np.array_equal(prepared.image, VALUES.transpose(1, 0, 2))
    assert np.array_equal(prepared.mask, VALUES[:, :, 0].T > 99)


@pytest.mark.parametrize(("given", "expected"), [(None, 7.0), (3, 3), ("none", "none")])
def test_the_fill_value_is_the_nodata_value_unless_another_is_given(given, expected):
    image = make_image("band", "y", "x").assign_attrs(_FillValue=np.uint8(7))

    assert prepare(Question(image, nodata=given)).nodata == expected


def test_labels_have_the_coordinates_of_the_image(client):
    image = make_image("band", "y", "x")[:1]

    result = client.segment(image, probabilities=True)
    labels = result.to_xarray()

    assert labels.dims == ("y", "x")
    assert np.array_equal(labels, result.labels)
    assert np.array_equal(labels["y"], NORTH)
    assert np.array_equal(labels["x"], EAST)
    assert set(labels.coords) == {"y", "x", "spatial_ref"}
    assert labels.attrs["flag_meanings"] == "dark medium bright"
    assert labels.attrs["flag_values"].tolist() == [0, 1, 2]
    assert labels.attrs["_FillValue"] == 255
    assert result.overlay().size == (7, 5)


def test_planes_have_coordinates_too_and_the_classes_as_one(client):
    result = client.segment(make_image("band", "y", "x")[:1], probabilities=True)

    found = result.to_xarray("probabilities")

    assert found.dims == ("y", "x", "class")
    assert found.sel({"class": "dark"}).shape == (5, 7)


def test_labels_of_an_array_without_names_have_rows_and_columns_only(client):
    labels = client.segment(VALUES[:, :, 0]).to_xarray()

    assert labels.dims == ("y", "x")
    assert not labels.coords


@pytest.mark.parametrize("name", ["confidence", "image", "nothing"])
def test_a_plane_that_is_not_there_is_refused(client, name):
    with pytest.raises(ValueError, match=f"{name!r} is not"):
        client.segment(VALUES[:, :, 0]).to_xarray(name)


def test_an_array_is_told_without_reading_its_values():
    class Lazy(xarray.DataArray):
        __slots__ = ()

        @property
        def values(self):
            raise AssertionError("the values were read")

    assert is_labelled(Lazy(VALUES))


def test_a_data_set_is_refused(client):
    scenes = make_image("band", "y", "x").to_dataset(name="scene")

    with pytest.raises(TypeError, match="it is a Dataset"):
        client.segment(scenes)
