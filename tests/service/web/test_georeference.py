import io
import json
import subprocess
import sys
from dataclasses import replace

import httpx2
import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rio_cogeo.cogeo import cog_validate

from lacuna.client import Client
from lacuna.errors import NotGeoreferencedError
from lacuna.geo.grid import Grid
from tests.lacuna.geo.test_tags import GEOGCS, KINDS, PROJCS, spell_out
from tests.service.web.test_segment import check_problem
from tests.support.apps import encode_image, load_repository, make_repository_folder
from tests.support.geotiffs import NORTH_UP, UTM, geotiff_file
from tests.support.images import noise, tiff_file
from tests.support.live import serve_live
from tests.support.rasters import find_real_rasters

IMAGE = noise(37, 53)
PLACE = {"crs": UTM, "transform": list(NORTH_UP[:6])}

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve_live(load_repository(root)) as address:
        yield address


def post(address, image, accept="application/json", **parameters):
    url, headers = f"http://{address}/v1/segment", {"Accept": accept}
    return httpx2.post(url, content=image, headers=headers, params=parameters, timeout=60)


def open_answer(response):
    assert response.status_code == 200, response.text
    return MemoryFile(response.content)


def read_grid(file):
    with file.open() as dataset:
        return Grid.of(dataset)


def check_equal(found, expected):
    assert replace(found, gcps=()) == replace(expected, gcps=())
    assert [(p.row, p.col, p.x, p.y) for p in found.gcps] == [
        (p.row, p.col, p.x, p.y) for p in expected.gcps
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_tiff_lies_where_its_image_lies(address, kind):
    data = geotiff_file(IMAGE, nodata=0, **KINDS[kind])

    with open_answer(post(address, data, "image/tiff")) as file, MemoryFile(data) as given:
        check_equal(read_grid(file), read_grid(given))
        with file.open() as dataset:
            labels = dataset.read(1)
            assert dataset.nodata == 255
            np.testing.assert_array_equal(dataset.dataset_mask() == 0, IMAGE == 0)
    answer = post(address, data, "application/x-npy")
    np.testing.assert_array_equal(labels, np.load(io.BytesIO(answer.content)))


@pytest.mark.parametrize("path", find_real_rasters())
def test_answers_to_real_files_lie_where_they_lie(address, path):
    data = path.read_bytes()

    response = post(address, data, "image/tiff", bands="1")

    with open_answer(response) as file, MemoryFile(data) as given:
        check_equal(read_grid(file), read_grid(given))


def test_a_jpeg_2000_image_keeps_its_place(address):
    data = geotiff_file(IMAGE, driver="JP2OpenJPEG", ext=".jp2", QUALITY=100, REVERSIBLE="YES")

    assert post(address, data).json()["georeference"]["crs"] == UTM


def test_a_tiff_is_cloud_optimised_and_says_what_it_is(address, tmp_path):
    data = geotiff_file(noise(600, 700))
    response = post(address, data, "image/tiff")
    path = tmp_path / "labels.tif"
    path.write_bytes(response.content)

    assert cog_validate(path) == (True, [], [])
    with MemoryFile(response.content) as file, file.open() as dataset:
        assert dataset.overviews(1)
        assert dataset.tags()["LACUNA_MODEL"] == "fake"
        assert dataset.tags()["LACUNA_MODEL_VERSION"] == "1"
        assert dataset.tags()["TIFFTAG_SOFTWARE"].startswith("lacuna ")
        assert dataset.colormap(1)[2] == (0xE0, 0xE0, 0xE0, 255)
    assert post(address, data, "image/tiff").content == response.content


def test_planes_are_pages_with_the_same_place(address, tmp_path):
    image = geotiff_file(IMAGE, nodata=0)
    response = post(address, image, "image/tiff", also="confidence,support")
    arrays = np.load(io.BytesIO(post(address, image, "application/zip", also="support").content))

    with open_answer(response) as file:
        with file.open() as dataset:
            pages = dataset.subdatasets
            assert Grid.of(dataset) == Grid(37, 53, CRS.from_user_input(UTM), NORTH_UP)
        assert len(pages) == 3
        for page, name in zip(pages[1:], ("confidence", "support"), strict=True):
            with rasterio.open(page) as dataset:
                assert Grid.of(dataset) == Grid(37, 53, CRS.from_user_input(UTM), NORTH_UP)
                assert dataset.descriptions == (name,)
                plane = dataset.read(1)
            np.testing.assert_array_equal(np.isnan(plane), IMAGE == 0)
    np.testing.assert_array_equal(plane, np.where(IMAGE == 0, np.nan, arrays["support"]))


def test_json_tells_the_place_and_the_areas(address):
    answer = post(address, geotiff_file(IMAGE, nodata=0)).json()

    place = answer["georeference"]
    # East of the central meridian by 0 to 530 m, the scale of UTM is 0.9996.
    assert place["pixel_area_m2"] == pytest.approx(100 / 0.9996**2, rel=1e-6)
    assert {name: place[name] for name in PLACE} == PLACE
    for entry in answer["classes"]:
        expected = entry["pixels"] * place["pixel_area_m2"]
        assert entry["area_m2"] == pytest.approx(expected, rel=1e-6)


def test_json_tells_control_points(address):
    place = post(address, geotiff_file(IMAGE, **KINDS["points"])).json()["georeference"]

    assert (place["crs"], place["transform"], place["pixel_area_m2"]) == (UTM, None, None)
    assert place["gcps"][1] == {"row": 0, "column": 7, "x": 500_063, "y": 4_000_000, "z": 7.5}


@pytest.mark.parametrize(
    "image", [encode_image(IMAGE), tiff_file(IMAGE), geotiff_file(IMAGE, None, None)]
)
def test_an_image_without_a_place_is_answered_as_ever(address, image):
    answer = post(address, image).json()

    assert list(answer) == ["model", "size", "valid", "classes", "warnings", "timings_ms"]
    assert list(answer["classes"][0]) == [
        *("id", "name", "color", "pixels", "fraction", "segmentation"),
    ]
    with tifffile.TiffFile(io.BytesIO(post(address, image, "image/tiff").content)) as file:
        assert file.pages.first.tags.valueof(42113) == "255"
        assert 34735 not in file.pages.first.tags


def test_an_image_that_is_turned_has_no_place(address):
    extra = [(33550, 12, 3, (1.0, 1.0, 0.0), True), (274, 3, 1, 6, True)]

    answer = post(address, tiff_file(IMAGE, extratags=extra)).json()

    assert answer["size"] == {"height": 53, "width": 37}
    assert "georeference" not in answer


@pytest.mark.parametrize(
    ("image", "known"),
    [
        (encode_image(IMAGE), "neither"),
        (geotiff_file(IMAGE, None, None), "neither"),
        (geotiff_file(IMAGE, None), "a transform"),
        (geotiff_file(IMAGE, UTM, None), "a CRS"),
        (geotiff_file(IMAGE, **KINDS["points"]), "a CRS and control points"),
    ],
    ids=["PNG", "plain TIFF", "no CRS", "no transform", "control points"],
)
def test_polygons_need_a_place(address, image, known):
    response = post(address, image, "application/geo+json")

    check_problem(response, 422, "not_georeferenced", f"this one has {known}")


def test_polygons_of_noise_are_refused_and_the_tiff_is_suggested(address):
    columns = np.arange(600) // 5 + np.arange(600)[:, None] // 5
    checks = geotiff_file((columns % 2 * 200).astype(np.uint8))
    speckled = geotiff_file(noise(700, 700) // 128 * np.uint8(255), nodata=255)

    assert post(address, checks, "application/geo+json").status_code == 200
    check_problem(
        post(address, speckled, "application/geo+json"),
        *(422, "too_detailed", "at most 262144", "ask for image/tiff instead"),
    )


def test_polygons_come_in_longitudes_and_latitudes_with_names_and_areas(address):
    image = np.full((40, 60), 10, np.uint8)
    image[10:30, 20:40] = 250
    image[:, 50:] = 0
    data = geotiff_file(image, nodata=0)
    answer = json.loads(post(address, data, "application/geo+json").content)
    areas = {entry["name"]: entry["area_m2"] for entry in post(address, data).json()["classes"]}

    assert answer["type"] == "FeatureCollection"
    found = dict.fromkeys(areas, 0.0)
    for feature in answer["features"]:
        found[feature["properties"]["name"]] += feature["properties"]["area_m2"]
        longitude, latitude = feature["geometry"]["coordinates"][0][0]
        assert -75.1 < longitude < -74.9
        assert 36.1 < latitude < 36.2
    assert found == pytest.approx(areas, rel=1e-9)


def test_the_mean_confidence_of_a_region_comes_on_request(address):
    data = geotiff_file(IMAGE // 86 * np.uint8(85))

    plain = json.loads(post(address, data, "application/geo+json").content)
    also = json.loads(post(address, data, "application/geo+json", also="confidence").content)

    # The fake model is sure of everything.
    assert {feature["properties"]["confidence"] for feature in also["features"]} == {1.0}
    assert "confidence" not in plain["features"][0]["properties"]


def test_a_crs_that_names_a_file_of_the_server_is_left_out(address, tmp_path):
    wkt = PROJCS.format(GEOGCS.format(f',EXTENSION["PROJ4_GRIDS","{tmp_path / "grid"}"]'), "")
    tags = spell_out(wkt)
    fields = [
        (33550, 12, 3, tags.pixel_scale, True),
        (33922, 12, 6, tags.tiepoints, True),
        (34735, 3, len(tags.keys), tags.keys, True),
        (34737, 2, len(tags.text) + 1, tags.text, True),
    ]
    response = post(address, tiff_file(IMAGE, extratags=fields))

    place = {"crs": None, "transform": [1, 0, 0, 0, -1, 0], "pixel_area_m2": None}
    assert response.json()["georeference"] == place
    assert str(tmp_path) not in response.text


def test_answers_say_that_they_depend_on_what_is_accepted(address):
    for accept in ("application/json", "image/tiff", "image/png"):
        response = post(address, geotiff_file(IMAGE), accept)
        assert response.headers["vary"] == "Accept, Accept-Encoding"


def test_the_client_knows_the_place_and_saves_it(address, tmp_path):
    path = tmp_path / "scene.tif"
    path.write_bytes(geotiff_file(IMAGE))
    with Client(f"http://{address}") as client:
        result = client.segment(path)
        answer = client.segment_as("application/geo+json", path)
        with pytest.raises(NotGeoreferencedError):
            client.segment_as("application/geo+json", IMAGE)

    assert (result.georeference.crs, result.georeference.transform) == (UTM, NORTH_UP[:6])
    assert result.areas["dark"].area_m2 == result.areas_m2["dark"] > 0
    with MemoryFile(result.save(tmp_path / "labels.tif").read_bytes()) as file:
        check_equal(read_grid(file), Grid(37, 53, CRS.from_user_input(UTM), NORTH_UP))
    saved = json.loads(result.save(tmp_path / "labels.json").read_text())
    assert saved["georeference"] == result.georeference.to_json()
    assert saved["classes"][0]["area_m2"] == result.areas_m2["dark"]
    assert result.save(tmp_path / "labels.geojson").read_bytes() == answer


LOADED = """
import sys
from pathlib import Path
from lacuna.raster.formats import load_decoders
from tests.service.web.test_segment import PNG
from tests.support.apps import load_repository, make_repository_folder, serve

load_decoders()
scene = Path(sys.argv[2]).read_bytes()
with serve(load_repository(make_repository_folder(Path(sys.argv[1])))) as client:
    def answer(image, accept):
        response = client.post("/v1/segment", content=image, headers={"Accept": accept})
        assert response.status_code == 200, response.text
        return "rasterio" in sys.modules
    for accept in ("application/json", "image/png", "image/tiff", "application/zip"):
        assert not answer(PNG, accept), accept
    for accept in ("image/png", "application/x-npy", "application/zip"):
        assert not answer(scene, accept), accept
    assert answer(scene, "application/json")
"""


def test_gdal_is_loaded_only_for_an_answer_that_tells_a_place(tmp_path):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(geotiff_file(IMAGE))

    command = [sys.executable, "-c", LOADED, str(tmp_path / "models"), str(scene)]
    subprocess.run(command, check=True, timeout=120)


SCARCE = """
import resource, sys
from pathlib import Path
from tests.service.web.test_segment import PNG
from tests.support.apps import load_repository, make_repository_folder, serve

def limit(spare_bytes):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft = pages * resource.getpagesize() + spare_bytes
    resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))

limit(1 << 40)  # there from the start, as `ulimit -v` has it
scene = Path(sys.argv[2]).read_bytes()
with serve(load_repository(make_repository_folder(Path(sys.argv[1])))) as client:
    def answer(image):
        response = client.post("/v1/segment", content=image)
        return response.status_code, response.json().get("code")
    assert answer(PNG) == (200, None)
    limit(130 << 20)
    assert answer(PNG) == (200, None)
    assert answer(scene) == (503, "out_of_memory"), answer(scene)
    limit(1 << 40)
    assert answer(scene) == (200, None)
"""


def test_a_server_without_the_memory_to_load_gdal_says_so_and_can_load_it_later(tmp_path):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(geotiff_file(IMAGE))

    command = [sys.executable, "-c", SCARCE, str(tmp_path / "models"), str(scene)]
    subprocess.run(command, check=True, timeout=120)
