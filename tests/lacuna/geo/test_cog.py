"""Result rasters, with rasterio and rio-cogeo as the witnesses."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from lacuna.distribution import VERSION
from lacuna.errors import SceneError
from lacuna.geo.cog import encode_cog, move_cog, write_cog
from lacuna.geo.grid import Grid
from lacuna.geo.layers import (
    Layer,
    confidence_layer,
    labels_layer,
    probabilities_layer,
    support_layer,
)
from lacuna.geo.pieces import write_piece
from lacuna.segmentation import ClassInfo
from lacuna.windows.tiling import Window
from tests.lacuna.geo.test_grid import GRIDS, read_grid
from tests.support.rasters import find_real_rasters, quiet, write_raster

CLASSES = (
    ClassInfo(0, "water & ice", "#1040f0"),
    ClassInfo(1, "<trees>", "#108020"),
    ClassInfo(2, "Straße", "#808080"),
)
LABELS = labels_layer(CLASSES)
LAYERS = {
    "labels": LABELS,
    "confidence": confidence_layer(),
    "support": support_layer(),
    "probabilities": probabilities_layer(CLASSES),
}
HEIGHT, WIDTH = 560, 900
WHOLE = Window(0, 0, HEIGHT, WIDTH)
QUARTERS = [
    Window(0, 0, 256, 512),
    Window(0, 512, 256, WIDTH - 512),
    Window(256, 0, HEIGHT - 256, 512),
    Window(256, 512, HEIGHT - 256, WIDTH - 512),
]


def draw_planes(layer: Layer, height: int, width: int, seed: int = 0):
    """Draw planes (B, H, W) with invalid pixels in the middle."""
    rng = np.random.default_rng(seed)
    shape = (len(layer.band_names), height, width)
    planes = rng.integers(0, 3, shape) if layer.classes else rng.random(shape)
    planes = planes.astype(layer.dtype)
    planes[:, height // 4 : height // 2, width // 8 : width // 2] = layer.nodata
    return planes


def find_invalid(planes, layer):
    return planes[0] == layer.nodata if layer.classes else np.isnan(planes[0])


def write_pieces(folder, planes, windows, layer):
    pieces = {window: folder / f"piece-{number}.tif" for number, window in enumerate(windows)}
    for window, path in pieces.items():
        write_piece(path, np.ascontiguousarray(planes[:, *window.slices]), layer)
    return pieces


def read_all(path):
    with quiet(), rasterio.open(path) as dataset:
        return dataset.read()


def list_names(folder):
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def limit_files(size):
    """Let this process write no file beyond a size in bytes, as on a device that is full."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("case", GRIDS)
def test_a_raster_has_the_grid_and_the_numbers_and_is_a_valid_cog(case, name, tmp_path):
    layer = LAYERS[name]
    source = write_raster(
        tmp_path / "scene.tif", np.zeros((1, HEIGHT, WIDTH), np.uint8), **GRIDS[case]
    )
    planes = draw_planes(layer, HEIGHT, WIDTH)
    pieces = write_pieces(tmp_path, planes, QUARTERS, layer)

    write_cog(tmp_path / "out.tif", pieces, read_grid(source), layer, {"LACUNA_MODEL": "demo"})

    with quiet(), rasterio.open(source) as wanted, rasterio.open(tmp_path / "out.tif") as found:
        assert np.array_equal(found.read(), planes, equal_nan=not layer.classes)
        assert (found.crs, found.transform) == (wanted.crs, wanted.transform)
        assert [point.asdict() for point in found.gcps[0]] == [
            point.asdict() for point in wanted.gcps[0]
        ]
        assert found.gcps[1] == wanted.gcps[1]
        assert set(found.dtypes) == {layer.dtype}
        assert np.array_equal(found.nodata, layer.nodata, equal_nan=not layer.classes)
        assert found.descriptions == layer.band_names
        assert found.block_shapes[0] == (512, 512)
        assert found.tags()["TIFFTAG_SOFTWARE"] == f"lacuna {VERSION}"
        assert found.tags()["LACUNA_MODEL"] == "demo"
        assert np.array_equal(found.dataset_mask() == 0, find_invalid(planes, layer))
    with quiet():
        assert cog_validate(tmp_path / "out.tif", strict=True, quiet=True) == (True, [], [])


@pytest.mark.parametrize("path", find_real_rasters())
def test_a_result_lies_where_a_real_raster_lies(path, tmp_path):
    with quiet(), rasterio.open(path) as wanted:
        write_cog(tmp_path / "out.tif", {}, Grid.of(wanted), LABELS, {})

        with rasterio.open(tmp_path / "out.tif") as found:
            assert found.shape == wanted.shape
            assert (found.crs, found.transform) == (wanted.crs, wanted.transform)
            assert found.gcps == wanted.gcps
        assert cog_validate(tmp_path / "out.tif", strict=True, quiet=True) == (True, [], [])


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(sorted(LAYERS)),
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.integers(50, 600),
    st.sets(st.integers(0, 30)),
    st.integers(0, 99),
)
def test_pieces_of_any_size_make_the_raster_and_there_is_no_data_between(
    tmp_path_factory, name, size, side, absent, seed
):
    folder, layer = tmp_path_factory.mktemp("pieces"), LAYERS[name]
    planes = draw_planes(layer, *size, seed)
    whole = Window(0, 0, *size)
    windows = [
        Window(top, left, side, side).intersect(whole)
        for top in range(0, size[0], side)
        for left in range(0, size[1], side)
    ]
    pieces = write_pieces(folder, planes, windows, layer)
    for number in absent & set(range(len(windows))):
        del pieces[windows[number]]
        planes[:, *windows[number].slices] = layer.nodata

    write_cog(folder / "out.tif", pieces, Grid(*size), layer, {})

    assert np.array_equal(read_all(folder / "out.tif"), planes, equal_nan=not layer.classes)


@pytest.mark.parametrize("name", LAYERS)
def test_a_raster_in_memory_has_the_pixels_and_the_place_of_one_from_pieces(name, tmp_path):
    layer, grid = LAYERS[name], Grid(HEIGHT, WIDTH, **GRIDS["north up"])
    planes = draw_planes(layer, HEIGHT, WIDTH)
    write_cog(tmp_path / "a.tif", write_pieces(tmp_path, planes, QUARTERS, layer), grid, layer, {})

    (tmp_path / "b.tif").write_bytes(encode_cog(planes, grid, layer, {}))

    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        assert np.array_equal(a.read(), b.read(), equal_nan=not layer.classes)
        assert str(a.profile) == str(b.profile)
        assert (a.tags(), a.tags(1)) == (b.tags(), b.tags(1))
    assert cog_validate(tmp_path / "b.tif", strict=True, quiet=True) == (True, [], [])


def test_equal_pieces_make_equal_bytes(tmp_path):
    planes = draw_planes(LABELS, HEIGHT, WIDTH)
    pieces = write_pieces(tmp_path, planes, QUARTERS, LABELS)
    reversed_pieces = dict(reversed(pieces.items()))

    write_cog(tmp_path / "a.tif", pieces, Grid(HEIGHT, WIDTH), LABELS, {"A": "1"})
    write_cog(tmp_path / "b.tif", reversed_pieces, Grid(HEIGHT, WIDTH), LABELS, {"A": "1"})

    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_labels_have_colours_and_the_invalid_one_is_transparent(tmp_path):
    path = tmp_path / "out.tif"
    path.write_bytes(encode_cog(draw_planes(LABELS, 9, 9), Grid(9, 9), LABELS, {}))

    with quiet(), rasterio.open(path) as dataset:
        assert dataset.colorinterp == (ColorInterp.palette,)
        colors = dataset.colormap(1)
        assert [colors[entry.id][:3] for entry in CLASSES] == [entry.rgb for entry in CLASSES]
        assert colors[255][3] == 0


def test_gdal_reads_the_names_of_classes_as_categories_and_as_metadata(tmp_path):
    pieces = write_pieces(tmp_path, draw_planes(LABELS, HEIGHT, WIDTH), QUARTERS, LABELS)
    write_cog(tmp_path / "out.tif", pieces, Grid(HEIGHT, WIDTH), LABELS, {})

    with quiet():
        # rasterio does not show categories; a VRT that GDAL makes of the raster names them.
        rasterio.shutil.copy(tmp_path / "out.tif", tmp_path / "out.vrt", driver="VRT")
        with rasterio.open(tmp_path / "out.tif") as dataset:
            names = {key: text for key, text in dataset.tags(1).items() if key.startswith("CLASS")}

    text = (tmp_path / "out.vrt").read_text()
    assert "<Category>water &amp; ice</Category>" in text
    assert "<Category>Straße</Category>" in text
    assert names == {"CLASS_0": "water & ice", "CLASS_1": "<trees>", "CLASS_2": "Straße"}


def test_overviews_of_labels_are_labels_and_those_of_numbers_are_means(tmp_path):
    labels = draw_planes(LABELS, 1100, 1100)
    numbers = draw_planes(LAYERS["support"], 1100, 1100)
    (tmp_path / "a.tif").write_bytes(encode_cog(labels, Grid(1100, 1100), LABELS, {}))
    (tmp_path / "b.tif").write_bytes(encode_cog(numbers, Grid(1100, 1100), LAYERS["support"], {}))

    with quiet(), rasterio.open(tmp_path / "a.tif", overview_level=0) as dataset:
        assert dataset.shape == (550, 550)
        assert set(np.unique(dataset.read())) == {0, 1, 2, 255}
    with quiet(), rasterio.open(tmp_path / "b.tif", overview_level=0) as dataset:
        means = numbers[0, 600:1000, 600:1000].reshape(200, 2, 200, 2).mean(axis=(1, 3))
        assert np.allclose(dataset.read(1)[300:500, 300:500], means, atol=1e-6)


def test_where_nothing_is_valid_the_file_holds_nothing(tmp_path):
    write_cog(tmp_path / "out.tif", {}, Grid(20_000, 20_000), LABELS, {})

    with quiet(), rasterio.open(tmp_path / "out.tif") as dataset:
        assert (dataset.read(1, window=((9_000, 9_100), (0, 100))) == 255).all()
        assert dataset.get_tag_item("BLOCK_OFFSET_3_3", "TIFF", bidx=1) is None
        assert (tmp_path / "out.tif").stat().st_size < 100_000
        assert cog_validate(tmp_path / "out.tif", quiet=True)[0]


def test_tiles_of_many_bands_are_smaller(tmp_path):
    layer = probabilities_layer([ClassInfo(n, f"class {n}", "#000000") for n in range(40)])
    planes = draw_planes(layer, 300, 200)
    write_cog(
        tmp_path / "out.tif",
        write_pieces(tmp_path, planes, [Window(0, 0, 300, 200)], layer),
        Grid(300, 200),
        layer,
        {},
    )

    with quiet(), rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.block_shapes[0] == (128, 128)
        assert np.array_equal(dataset.read(), planes, equal_nan=True)


def test_a_raster_takes_over_no_sidecar_of_the_one_that_it_replaces(tmp_path):
    planes, output = draw_planes(LABELS, 9, 9), tmp_path / "out.tif"
    pieces = write_pieces(tmp_path, planes, [Window(0, 0, 9, 9)], LABELS)
    write_cog(output, pieces, Grid(9, 9), LABELS, {})
    for suffix in (".msk", ".ovr"):
        (tmp_path / f"out.tif{suffix}").write_bytes(b"of another raster")
    support = draw_planes(LAYERS["support"], 9, 9)
    write_piece(tmp_path / "piece-0.tif", support, LAYERS["support"])

    write_cog(output, pieces, Grid(9, 9), LAYERS["support"], {})

    assert list_names(tmp_path) == ["out.tif", "piece-0.tif"]
    assert np.array_equal(read_all(output), support, equal_nan=True)


def test_a_raster_moves_with_the_names_of_its_classes(tmp_path):
    pieces = write_pieces(tmp_path, draw_planes(LABELS, 9, 9), [Window(0, 0, 9, 9)], LABELS)
    write_cog(tmp_path / "a.tif", pieces, Grid(9, 9), LABELS, {})

    move_cog(tmp_path / "a.tif", tmp_path / "b.tif")

    names = ["b.tif", "b.tif.aux.xml", "piece-0.tif"]
    assert list_names(tmp_path) == names


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.6, 0.9, 0.95, 0.99, 0.9999])
def test_a_raster_that_does_not_fit_is_an_error_and_leaves_what_was_there(part, tmp_path):
    output = tmp_path / "out.tif"
    pieces = write_pieces(tmp_path, draw_planes(LABELS, HEIGHT, WIDTH), QUARTERS, LABELS)
    write_cog(output, pieces, Grid(HEIGHT, WIDTH), LABELS, {})
    before, names = output.read_bytes(), list_names(tmp_path)

    with (
        limit_files(int(len(before) * part)),
        pytest.raises(SceneError, match="the raster must be written"),
    ):
        write_cog(output, pieces, Grid(HEIGHT, WIDTH), LABELS, {})

    assert output.read_bytes() == before
    assert list_names(tmp_path) == names


@pytest.fixture
def small_device(tmp_path):
    """Yield the folder of a device that holds 150 kB."""
    folder = tmp_path / "device"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("this user must not mount a small device")
    command = [mount, "-t", "tmpfs", "-o", "size=150k", "tmpfs", folder]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this system does not mount a small device")
    yield folder
    subprocess.run([umount, folder], check=True)


def test_a_full_device_is_told_with_what_it_has_and_what_is_needed(small_device, tmp_path):
    pieces = write_pieces(tmp_path, draw_planes(LABELS, HEIGHT, WIDTH), QUARTERS, LABELS)

    with pytest.raises(SceneError, match=r"it takes about 0\.\d MB, and the device has 0\.\d$"):
        write_cog(small_device / "out.tif", pieces, Grid(HEIGHT, WIDTH), LABELS, {})

    assert list_names(small_device) == []


def test_the_folder_must_exist_and_the_output_must_be_no_folder(tmp_path):
    (tmp_path / "out.tif").mkdir()

    for path in (tmp_path / "absent" / "out.tif", tmp_path / "out.tif"):
        with pytest.raises(SceneError, match="the raster must be written") as caught:
            write_cog(path, {}, Grid(9, 9), LABELS, {})
        assert "\n" not in caught.value.message

    assert list_names(tmp_path) == ["out.tif"]


def test_a_piece_that_is_absent_or_cut_is_an_error(tmp_path):
    pieces = write_pieces(tmp_path, draw_planes(LABELS, HEIGHT, WIDTH), QUARTERS, LABELS)
    path = pieces[QUARTERS[1]]
    path.write_bytes(path.read_bytes()[:-9_000])
    with pytest.raises(SceneError, match=r"piece-1\.tif"):
        write_cog(tmp_path / "out.tif", pieces, Grid(HEIGHT, WIDTH), LABELS, {})

    path.unlink()
    with pytest.raises(SceneError, match=r"piece-1\.tif.*No such file"):
        write_cog(tmp_path / "out.tif", pieces, Grid(HEIGHT, WIDTH), LABELS, {})

    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_piece_that_does_not_fit_is_an_error_and_is_not_there(part, tmp_path):
    planes = draw_planes(LABELS, 400, 400)
    write_piece(tmp_path / "a.tif", planes, LABELS)

    with (
        limit_files(int((tmp_path / "a.tif").stat().st_size * part)),
        pytest.raises(SceneError, match=os.strerror(errno.EFBIG)),
    ):
        write_piece(tmp_path / "b.tif", planes, LABELS)

    assert list_names(tmp_path) == ["a.tif"]


def test_a_label_must_be_that_of_a_class(tmp_path):
    planes = draw_planes(LABELS, 9, 9)
    planes[0, 0, 0] = 3

    with pytest.raises(SceneError, match="0 to 2, or 255; one is 3"):
        write_piece(tmp_path / "a.tif", planes, LABELS)
    with pytest.raises(SceneError, match="0 to 2, or 255; one is 3"):
        encode_cog(planes, Grid(9, 9), LABELS, {})

    assert list_names(tmp_path) == []


@pytest.mark.parametrize(
    "planes", [np.zeros((1, 9, 9), np.float32), np.zeros((2, 9, 9), np.uint8)], ids=str
)
def test_planes_must_have_the_dtype_and_the_bands_of_the_layer(planes, tmp_path):
    with pytest.raises(ValueError, match=r"planes must be uint8 \(1, H, W\); they are"):
        write_piece(tmp_path / "a.tif", planes, LABELS)


_MEASURE = """
import sys
from pathlib import Path
from lacuna.geo.cog import encode_cog, write_cog
from lacuna.geo.grid import Grid
from lacuna.windows.tiling import Window
from tests.lacuna.geo.test_cog import LABELS, draw_planes, write_pieces

def read_memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) >> 10

folder = Path(sys.argv[1])
first = Window(0, 0, 1024, 1024)
[piece] = write_pieces(folder, draw_planes(LABELS, 1024, 1024), [first], LABELS).values()
windows = [first.move(top, left) for top in range(0, 18_000, 1024)
           for left in range(0, 18_000, 1024) if (top + left) // 1024 % 3 == 0]
Path("/proc/self/clear_refs").write_text("5")  # The peak is measured from here.
before = read_memory("VmRSS")
pieces = dict.fromkeys(windows, piece)
write_cog(folder / "out.tif", pieces, Grid(20_000, 20_000), LABELS, {})
print(read_memory("VmHWM") - before)
"""


@pytest.mark.slow
def test_a_large_raster_takes_less_than_100_mb(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, tmp_path], capture_output=True, text=True, check=True
    )

    assert int(done.stdout) < 100
