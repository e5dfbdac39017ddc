"""A georeferenced result: coordinates under the pointer, hectares, GeoTIFF and GeoJSON."""

import io

import numpy as np
import pytest
import rasterio
from playwright.sync_api import expect
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

from tests.page.driving import IMAGE, MASK, draw_scene
from tests.page.test_everybody import DARK, PHONE, list_violations
from tests.page.test_failing import NOT_LOADED
from tests.support.geotiffs import UTM, geotiff_file

# Rotated a little, as a drone's image is.
TRANSFORM = Affine(0.5, 0.1, 500_000, 0.1, -0.5, 5_000_000)
SCENE = geotiff_file(draw_scene(), UTM, TRANSFORM, photometric="RGB")
WKT = 'PROJCS["Gauss-Kruger zone 4",GEOGCS["DHDN",DATUM["Deutsches_Hauptdreiecksnetz"]]]'
GEOJSON = b'{"type": "FeatureCollection", "features": []}'


@pytest.fixture
def placed(visit):
    """The page with the result of a GeoTIFF."""
    visit.choose(SCENE, "scene.tif", "image/tiff")
    visit.choose_mask(MASK)
    expect(visit.page.locator("#missing")).not_to_contain_text("0 px ·")
    visit.run()
    return visit


def test_the_pointer_tells_the_coordinates_of_the_pixels_centre(placed):
    placed.show_actual()
    placed.page.mouse.move(*placed.locate(40.2, 7.9))

    expect(placed.page.locator("#readout-place")).to_have_text("x 40  y 7")
    x, y = rasterio.transform.xy(TRANSFORM, 7, 40)
    expect(placed.page.locator("#readout-map")).to_have_text(f"{x:.2f}, {y:.2f}  {UTM}")


@pytest.mark.parametrize(
    ("crs", "transform", "expected"),
    [
        ("EPSG:4326", [2.7e-5, 0, -74, 0, -2.7e-5, 40], "-73.999797, 39.999986  EPSG:4326"),
        (WKT, [30, 0, 3_500_000, 0, -30, 0], "3500225.0, -15.0  Gauss-Kruger zone 4"),
        (None, [1, 0, 0, 0, 1, 0], "7.5, 0.5  no CRS"),
    ],
)
def test_coordinates_have_the_decimals_of_a_pixel_and_the_name_of_their_crs(
    visit, crs, transform, expected
):
    georeference = {"crs": crs, "transform": transform, "pixel_area_m2": None}

    assert visit.read_module("georeference", "describePlace", georeference, 7, 0) == expected


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ([123_456_789, 0, 4_000_000], ["12,346", "0", "400"]),
        ([250_000, 999], ["25.00", "0.10"]),
        ([3.12, 0.26], ["0.000312", "0.000026"]),
        ([0, 0], ["0", "0"]),
    ],
)
def test_hectares_have_four_digits_of_the_largest_class(visit, areas, expected):
    assert visit.read_module("georeference", "writeHectares", areas) == expected


def test_the_legend_tells_hectares_beside_the_share(placed, server):
    heads = placed.page.locator("#legend thead th:visible").all_inner_texts()
    rows = placed.page.locator("#legend tbody tr").all_inner_texts()

    assert heads == ["Class", "Pixels", "Hectares", "Of valid"]
    classes = server.summarize(SCENE, MASK)["classes"]
    told = [float(row.split()[2]) for row in rows]
    np.testing.assert_allclose(told, [entry["area_m2"] / 10_000 for entry in classes], rtol=0.001)
    # The determinant of the transform is a pixel's area on the plane, close to that on the earth.
    plane = [entry["pixels"] * 0.26 / 10_000 for entry in classes]
    np.testing.assert_allclose(told, plane, rtol=0.002)


def save_from_server(visit, kind):
    """Save a file that the server makes, after the mask has changed; return its name and bytes."""
    visit.page.click("#invert")  # what is asked for is the result, not the mask of now
    with visit.page.expect_download() as download:
        visit.page.click(f"[data-download={kind}]")
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_a_geotiff_has_the_labels_that_are_shown_in_the_place_of_the_image(placed):
    shown = np.load(io.BytesIO(placed.download("npy")))
    name, content = save_from_server(placed, "tif")

    assert name == "scene-labels.tif"
    with rasterio.open(io.BytesIO(content)) as labels:
        assert np.array_equal(labels.read(1), shown)
        assert labels.crs == rasterio.CRS.from_string(UTM)
        assert labels.transform.almost_equals(TRANSFORM)
        assert labels.nodata == 255


def test_geojson_is_asked_of_the_server_for_the_version_that_has_answered(placed):
    sent = []

    def answer(route):
        sent.append(route.request)
        route.fulfill(body=GEOJSON, content_type="application/geo+json")

    placed.page.route("**/v1/segment", answer)
    name, content = save_from_server(placed, "geojson")

    assert name == "scene-labels.geojson"
    assert content == GEOJSON
    assert sent[0].headers["accept"] == "application/geo+json"
    assert b'name="version"\r\n\r\n2\r\n' in sent[0].post_data_buffer


def test_a_download_that_the_server_refuses_is_told_in_words(placed):
    problem = {"code": "overloaded", "detail": "too much work", "status": 429}
    placed.page.route(
        "**/v1/segment",
        lambda route: route.fulfill(status=429, json=problem, headers={"Retry-After": "7"}),
    )
    placed.page.click("[data-download=geojson]")

    expect(placed.page.locator("#error")).to_have_text("Too much work. Try again in 7 s.")
    expect(placed.page.locator("[data-download=geojson]")).to_be_enabled()
    expect(placed.page.locator("[data-download=geojson]")).to_be_focused()
    expect(placed.page.locator("#download-note")).to_have_text("")
    placed.forgive(NOT_LOADED)


def test_an_image_without_a_georeference_has_nothing_of_this(visit):
    visit.choose(IMAGE)
    visit.run()

    for selector in ("#readout-map", "#hectares-head", "[data-download=tif]"):
        expect(visit.page.locator(selector)).to_be_hidden()
    cells = visit.page.locator("#legend tbody tr").first.locator("td")
    expect(cells).to_have_count(2)


@pytest.mark.parametrize("context", [PHONE, PHONE | DARK], ids=["light", "dark"], indirect=True)
def test_a_georeferenced_result_is_for_everybody_on_a_phone(placed):
    page = placed.page
    page.locator("#picture").scroll_into_view_if_needed()
    box = page.locator("#picture").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    expect(page.locator("#readout-map")).to_contain_text("EPSG:32618")
    assert page.locator("#readout-map").evaluate("(e) => e.scrollWidth <= e.clientWidth")
    assert list_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_control_points_alone_give_no_coordinates_but_a_geotiff(visit):
    corners = [(0, 0, 500_000, 5_000_000), (0, 64, 500_032, 5_000_000), (48, 0, 500_000, 4_999_976)]
    gcps = [GroundControlPoint(row, column, x, y) for row, column, x, y in corners]
    content = geotiff_file(draw_scene(), UTM, None, photometric="RGB", gcps=gcps)
    visit.choose(content, "scene.tif", "image/tiff")
    visit.run()

    expect(visit.page.locator("#readout-map")).to_be_hidden()
    expect(visit.page.locator("[data-download=tif]")).to_be_visible()
