"""Bands and alpha, chosen by the client in every protocol."""

import numpy as np
import pytest

from lacuna.client import Client
from lacuna.errors import ChannelMismatchError, LacunaWarning, MalformedRequestError
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from service.runtime.manifest import Manifest
from tests.lacuna.client.scripts import FINE, Script
from tests.support.apps import load_repository, make_repository_folder
from tests.support.images import noise, npy_file
from tests.support.live import serve_live
from tests.support.rasters import gdal_file

STACK = noise(21, 34, 4)
STACK[:, :, :3] //= np.array([1, 2, 4], np.uint8)
TIFF = gdal_file(STACK, names=("b4", "b3", "near, infrared", "b8"), ALPHA="UNSPECIFIED")
PROTOCOLS = ["native", "oip", "tfserving"]


def label(values, valid=None):
    valid = np.ones(values.shape[:2], bool) if valid is None else valid
    image = np.where(valid[..., None], values, 0).astype(np.float32)
    return FakeRuntime().run(image[None], valid[None], probabilities=False).labels[0]


@pytest.fixture(params=PROTOCOLS)
def client(request, address):
    with Client(f"http://{address}", protocol=request.param) as client:
        yield client


@pytest.mark.parametrize(
    ("bands", "index"),
    [
        ("2", 1),
        (2, 1),
        ([2], 1),
        (("b8",), 3),
        ("B3", 1),
        (["near, infrared"], 2),
        (np.int64(4), 3),
    ],
)
def test_bands_of_a_file_are_chosen_in_every_protocol(client, bands, index):
    found = client.segment(TIFF, bands=bands).labels

    np.testing.assert_array_equal(found, label(STACK[:, :, [index]]))


@pytest.mark.parametrize("image", [STACK, npy_file(STACK)], ids=["array", "file"])
def test_bands_and_alpha_of_an_array_are_chosen_in_every_protocol(client, image):
    found = client.segment(image, bands=3, alpha="yes").labels

    np.testing.assert_array_equal(found, label(STACK[:, :, [2]], STACK[:, :, 3] > 0))


def test_a_band_that_is_lacking_is_told_in_every_protocol(client):
    with pytest.raises(ChannelMismatchError, match="'swir' is not"):
        client.segment(TIFF, bands="swir")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("options", [{"bands": "1,,2"}, {"bands": [1.5]}, {"alpha": "maybe"}])
def test_a_malformed_choice_is_refused_before_anything_is_sent(protocol, options):
    script = Script(FINE)
    with (
        Client("http://server", protocol=protocol, transport=script) as client,
        pytest.raises(MalformedRequestError, match=r"bands|alpha"),
    ):
        client.segment(TIFF, **options)
    assert not [request for request in script.requests if request.method == "POST"]


def test_doubtful_alpha_is_warned_of_in_every_protocol(client):
    with pytest.warns(LacunaWarning, match="band 4 is tagged as alpha"):
        client.segment(gdal_file(STACK), bands=1)


def test_bands_that_the_model_names_are_found_in_every_protocol(tmp_path):
    image = {"channels": 3, "dtype": "uint8", "bands": ["b8", "B4", "b3"]}
    named = Manifest.model_validate(FAKE_MANIFEST.model_dump(by_alias=True) | {"image": image})
    repository = load_repository(
        make_repository_folder(tmp_path, "named/1"), lambda _: FakeRuntime(named)
    )
    with serve_live(repository) as address:
        for protocol in PROTOCOLS:
            with Client(f"http://{address}", protocol=protocol) as client:
                found = client.segment(TIFF).labels
            np.testing.assert_array_equal(found, label(STACK[:, :, [3, 0, 1]]))
