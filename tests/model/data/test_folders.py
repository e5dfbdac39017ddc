import numpy as np
import pytest
from PIL import Image

from model.data.folders import DatasetError, load_sample, read_dataset
from tests.support.folders import draw_regions, write_description, write_folder
from tests.support.images import tiff_file


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "data", count=8, side=24)


def faults_of(folder):
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    for fault in caught.value.faults:
        assert fault in str(caught.value)
    return caught.value.faults


def save(array, *path):
    Image.fromarray(array).save(path[0].joinpath(*path[1:]))


def test_a_good_folder_is_taken_stock_of(folder):
    dataset = read_dataset(folder)

    assert (len(dataset.training), len(dataset.validation)) == (6, 2)
    assert (dataset.description.channels, dataset.description.dtype) == (3, "uint8")
    assert dataset.notes == ()


def test_mean_and_scale_are_those_of_each_channel_of_the_valid_training_pixels(folder):
    dataset = read_dataset(folder)
    values = []
    for index in range(6):
        image = np.asarray(Image.open(folder / "images" / f"scene{index:02}.png"))
        path = folder / "masks" / f"scene{index:02}.png"
        valid = np.asarray(Image.open(path)) if path.exists() else np.ones(image.shape[:2], bool)
        values.append(image[valid])
    expected = np.concatenate(values).astype(float)

    assert dataset.normalization.means == pytest.approx(expected.mean(axis=0))
    assert dataset.normalization.scales == pytest.approx(expected.std(axis=0))


def test_a_missing_label_map_is_told(folder):
    (folder / "labels" / "scene03.png").unlink()

    assert faults_of(folder)[0].startswith("images/scene03.png: has no label map labels/scene03")


@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_a_map_without_an_image_is_told(folder, kind):
    save(np.zeros((3, 3), np.uint8), folder, kind, "stray.png")

    assert faults_of(folder) == (f"{kind}/stray.png: has no image images/stray.*",)


@pytest.mark.parametrize("kind", ["labels", "masks"])
def test_a_map_of_another_size_is_told_with_both_sizes(folder, kind):
    image, _ = draw_regions((9, 11), 0)
    save(image, folder, "images", "scene01.png")
    for name in ("labels", "masks"):
        save(np.ones((9, 11), np.uint8), folder, name, "scene01.png")
    save(np.ones((9, 12), np.uint8), folder, kind, "scene01.png")

    (fault,) = faults_of(folder)
    assert fault.startswith(f"{kind}/scene01.png: must have the image's height and width; ")
    assert fault.endswith("scene01.png is 9×11, this is 9×12")


def test_an_unknown_class_is_told_with_its_id(folder):
    labels = np.array(Image.open(folder / "labels" / "scene02.png"))
    labels[0, :3] = 7, 2, 255
    save(labels, folder, "labels", "scene02.png")

    assert faults_of(folder) == (
        "labels/scene02.png: class ids must be 0 to 1, or 255; it holds 2, 7",
    )


@pytest.mark.parametrize("kind", ["images", "labels", "masks"])
def test_an_unreadable_file_is_told(folder, kind):
    (folder / kind / "scene01.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")

    (fault,) = faults_of(folder)
    assert fault.startswith(f"{kind}/scene01.png: ")
    assert "cannot be decoded" in fault


def test_other_channels_than_most_images_have_are_told(folder):
    np.save(folder / "images" / "scene02.npy", np.zeros((20, 20, 5), np.uint8))
    (folder / "images" / "scene02.png").unlink()
    save(np.zeros((20, 20), np.uint8), folder, "labels", "scene02.png")

    assert faults_of(folder) == ("images/scene02.npy: must have 3 channels; it has 5",)


def test_grey_images_among_coloured_ones_are_repeated(folder):
    grey = np.asarray(Image.open(folder / "images" / "scene02.png"))[..., 0]
    save(grey, folder, "images", "scene02.png")
    dataset = read_dataset(folder)
    sample = load_sample(dataset.training[2], dataset.description)

    np.testing.assert_array_equal(sample.image, np.dstack([grey] * 3))


def test_another_depth_than_most_images_have_is_told(folder):
    image = np.asarray(Image.open(folder / "images" / "scene02.png")).astype(np.uint16)
    (folder / "images" / "scene02.png").unlink()
    np.save(folder / "images" / "scene02.npy", image)

    assert faults_of(folder) == ("images/scene02.npy: must be uint8; it is uint16",)

    write_description(folder, 'dtype = "float32"')
    dataset = read_dataset(folder)
    assert load_sample(dataset.training[2], dataset.description).image.dtype == np.float32


def test_an_image_without_a_valid_labelled_pixel_is_told(folder):
    labels = np.array(Image.open(folder / "labels" / "scene01.png"))
    valid = np.asarray(Image.open(folder / "masks" / "scene01.png"))
    labels[valid] = 255
    save(labels, folder, "labels", "scene01.png")

    assert faults_of(folder) == ("images/scene01.png: no valid pixel has a label",)


def test_an_image_without_a_valid_pixel_is_told_beside_a_faulty_description(folder):
    image = np.asarray(Image.open(folder / "images" / "scene02.png"))
    save(np.dstack([image, np.zeros_like(image[..., 0])]), folder, "images", "scene02.png")
    write_description(folder, "chanels = 3")

    first, second = faults_of(folder)
    assert first.startswith("dataset.toml: chanels is unknown")
    assert second == "images/scene02.png: no valid pixel has a label"


def test_two_images_of_one_name_are_told(folder):
    np.save(folder / "images" / "scene01.npy", np.zeros((4, 4, 3), np.uint8))

    assert faults_of(folder)[0] == "images/scene01.png: scene01.npy has the same name"


def test_a_file_of_another_kind_is_told_but_not_what_tools_leave_behind(folder):
    for name in ("notes.doc", ".DS_Store", "scene01.png.aux.xml", "Thumbs.db"):
        (folder / "images" / name).write_bytes(b"")

    (fault,) = faults_of(folder)
    assert fault.startswith("images/notes.doc: must be one of .png, .jpg")


def test_all_that_is_wrong_is_told_at_once(folder):
    (folder / "labels" / "scene00.png").unlink()
    (folder / "images" / "scene00.png").write_bytes(b"")
    (folder / "images" / "scene01.png").write_bytes(b"")
    save(np.full((3, 3), 9, np.uint8), folder, "labels", "scene02.png")
    write_description(folder, "chanels = 3")

    assert [fault.split(":")[0] for fault in faults_of(folder)] == [
        "dataset.toml",
        "images/scene00.png",
        "images/scene00.png",
        "images/scene01.png",
        "labels/scene02.png",
    ]


def tag_image(folder, index, mask=None):
    """Turn an image into a TIFF whose tag calls its brightest value no data."""
    path = folder / "images" / f"scene{index:02}.png"
    values = np.asarray(Image.open(path)).copy()
    values[:3, :5] = 255
    path.unlink()
    tag = (42113, "s", 0, "255", True)
    path = path.with_suffix(".tif")
    path.write_bytes(tiff_file(values, photometric="rgb", extratags=[tag]))
    if mask is not None:
        path.with_name(f"{path.name}.msk").write_bytes(tiff_file(255 * mask.astype(np.uint8)))
    return values


def load(folder, index):
    dataset = read_dataset(folder)
    entries = {entry.name: entry for entry in (*dataset.training, *dataset.validation)}
    return load_sample(entries[f"scene{index:02}"], dataset.description)


@pytest.mark.parametrize(
    ("line", "missing"), [("", 15), ("nodata = 'none'", 0), ("nodata = -1", 0)]
)
def test_the_no_data_value_of_the_description_stands_in_place_of_the_files(folder, line, missing):
    tag_image(folder, 2)
    write_description(folder, line)

    assert (~load(folder, 2).mask).sum() == missing


def test_the_mask_that_gdal_keeps_beside_an_image_is_taken(folder):
    size = np.asarray(Image.open(folder / "images" / "scene02.png")).shape[:2]
    mask = np.indices(size).sum(axis=0) > 20
    tag_image(folder, 2, mask)

    np.testing.assert_array_equal(load(folder, 2).mask, mask)


def test_a_mask_with_swapped_sides_may_have_been_turned(folder):
    path = folder / "masks" / "scene01.png"
    mask = np.asarray(Image.open(path))
    save(mask.T.copy(), path.parent, path.name)

    (fault,) = faults_of(folder)
    assert fault.endswith("; the sides are swapped, as by an EXIF orientation of only one of them")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is missing"),
        ("name = ", "must be TOML"),
        ("", "classes must be a list of 2 to 255"),
        ("name = 'a/b'", "name must be 1 to 100 letters"),
        ("classes = [{name='a', color='red'}, {name='b', color='#000000'}]", "number 0 must have"),
        ("classes = [{name='a', color='#000000'}, {name='a', color='#ffffff'}]", "a is repeated"),
        ("nodata = 'zero'", "nodata must be a number or \"none\"; it is 'zero'"),
        ("channels = 0", "channels must be 1 to 512"),
        ("dtype = 'int8'", 'dtype must be "uint8", "uint16" or "float32"'),
        ("validation_fraction = 1.5", "validation_fraction must be between 0 and 1"),
        ("colour = 1", "colour is unknown"),
    ],
)
def test_what_is_wrong_with_the_description_is_told(folder, text, message):
    path = folder / "dataset.toml"
    path.unlink() if text is None else path.write_text(text)

    faults = faults_of(folder)
    assert all(fault.startswith("dataset.toml: ") for fault in faults)
    assert any(message in fault for fault in faults)


def test_an_empty_split_is_told(folder):
    for name in ("train.txt", "validation.txt"):
        (folder / name).unlink()
    write_description(folder, "validation_fraction = 0.000001")

    (fault,) = faults_of(folder)
    assert fault.startswith("images/: none of 8 images is left for validation")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train.txt", "scene00\nmoon.png\n", "train.txt: moon is not an image"),
        ("validation.txt", "scene00\n", "validation.txt: scene00 is in train.txt too"),
        ("train.txt", None, "train.txt: is missing or is not text"),
        ("validation.txt", "\n", "validation.txt: names no image"),
    ],
)
def test_what_is_wrong_with_the_lists_of_a_split_is_told(folder, file, text, message):
    (folder / file).unlink() if text is None else (folder / file).write_text(text)

    assert any(fault.startswith(message) for fault in faults_of(folder))


def test_a_fraction_and_lists_exclude_each_other(folder):
    write_description(folder, "validation_fraction = 0.5")

    assert "validation_fraction must not be set" in faults_of(folder)[0]


def test_more_images_move_none_between_the_splits(tmp_path):
    splits = []
    for count in (10, 16):
        folder = write_folder(tmp_path / str(count), count, side=12)
        for name in ("train.txt", "validation.txt"):
            (folder / name).unlink()
        write_description(folder, "validation_fraction = 0.4")
        dataset = read_dataset(folder)
        splits.append(
            [{entry.name for entry in part} for part in (dataset.training, dataset.validation)]
        )

    (few_training, few_validation), (training, validation) = splits
    assert few_training < training
    assert few_validation <= validation
    assert not training & validation


def test_what_is_worth_knowing_is_noted(folder):
    for index in (6, 7):
        labels = np.asarray(Image.open(folder / "labels" / f"scene{index:02}.png"))
        save(np.zeros_like(labels), folder, "labels", f"scene{index:02}.png")
    (folder / "train.txt").write_text("scene00.png\nscene01.png\n")

    assert read_dataset(folder).notes == (
        "no validation image has a pixel of class bright",
        "4 images are in neither train.txt nor validation.txt",
    )


def test_the_digest_changes_with_any_file_and_with_nothing_else(folder):
    first = read_dataset(folder).digest
    assert read_dataset(folder).digest == first

    labels = np.array(Image.open(folder / "labels" / "scene01.png"))
    labels[0, 0] = 255
    save(labels, folder, "labels", "scene01.png")
    assert read_dataset(folder).digest != first


def test_a_sample_holds_nothing_under_its_mask(folder):
    dataset = read_dataset(folder)
    sample = load_sample(dataset.training[1], dataset.description)

    assert not sample.mask.all()
    assert (sample.image[~sample.mask] == 0).all()
    assert (sample.labels[~sample.mask] == 255).all()


def test_statistics_are_those_of_the_training_images_as_they_are_trained_on(folder):
    dataset = read_dataset(folder)
    samples = [load_sample(entry, dataset.description) for entry in dataset.training]
    values = np.concatenate([sample.image[sample.mask] for sample in samples]).astype(float)

    found = dataset.statistics
    assert [entry.mean for entry in found] == pytest.approx(values.mean(axis=0), rel=1e-4)
    assert [entry.deviation for entry in found] == pytest.approx(values.std(axis=0), rel=1e-4)
    assert [entry.maximum for entry in found] == values.max(axis=0).tolist()


def test_a_validation_image_unlike_the_training_images_is_noted(folder):
    name = read_dataset(folder).validation[0].image.name
    image = np.asarray(Image.open(folder / "images" / name))
    save(image // 40, folder, "images", name)

    (note,) = read_dataset(folder).notes
    assert note.startswith(f"{name} is unlike the training images: in channel 0")
