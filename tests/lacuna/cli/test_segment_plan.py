import os
from pathlib import Path

import click
import pytest

from lacuna.cli.mask_patterns import find_mask
from lacuna.cli.segment_plan import ImagePlan, check_existing, plan_images
from lacuna.outputs import OUTPUT_SUFFIXES


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "a-mask.png", "b.tif", "b-mask.png", "deep/c.jpg", "deep/c-mask.png"):
        touch(f"scenes/{name}")
    touch("scenes/notes.txt")
    touch("scenes/.hidden.png")
    return tmp_path


def touch(name):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def make_plans(
    *inputs, mask="{stem}-mask.png", output="out", form=None, overlay=False, optional=False
):
    return plan_images(inputs, mask, Path(output), form, overlay=overlay, mask_optional=optional)


def list_names(plans, of="image"):
    return [str(getattr(plan, of)) for plan in plans]


def test_a_folder_stands_for_its_images_without_their_masks():
    plans = make_plans("scenes")

    assert list_names(plans) == ["scenes/a.png", "scenes/b.tif", "scenes/deep/c.jpg"]
    assert list_names(plans, "output") == ["out/a.png", "out/b.png", "out/deep/c.png"]
    assert list_names(plans, "mask")[2] == "scenes/deep/c-mask.png"


def test_a_glob_stands_for_what_it_finds():
    assert list_names(make_plans("scenes/*.png")) == ["scenes/a.png"]
    assert len(make_plans("scenes/**/*.*")) == 3


def test_what_is_named_twice_is_done_once():
    assert len(make_plans("scenes", "scenes/a.png", "scenes/*.tif")) == 3


def test_a_mask_that_is_named_itself_is_an_image():
    assert list_names(make_plans("scenes/a-mask.png", mask=None)) == ["scenes/a-mask.png"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{stem}-mask.png", "x/scene.one-mask.png"),
        ("../masks/{name}", "x/../masks/scene.one.tif"),
        ("../{parent}-masks/{stem}{suffix}", "x/../x-masks/scene.one.tif"),
        ("valid.png", "valid.png"),
        (None, "None"),
    ],
)
def test_a_pattern_names_the_mask_of_an_image(pattern, expected):
    assert str(find_mask(Path("x/scene.one.tif"), pattern)) == expected


@pytest.mark.parametrize("pattern", ["{steam}.png", "{stem.png", "{}.png", "{0}.png"])
def test_a_pattern_of_other_fields_is_refused_with_the_known_ones(pattern):
    with pytest.raises(click.UsageError, match=r"\{stem\}"):
        make_plans("scenes", mask=pattern)


def test_a_missing_mask_is_refused_unless_it_is_optional():
    Path("scenes/b-mask.png").unlink()

    with pytest.raises(click.UsageError, match=r"b-mask.png of scenes/b.tif \(--mask-optional"):
        make_plans("scenes")
    assert list_names(make_plans("scenes", optional=True), "mask")[1] == "None"


def test_a_single_image_may_be_written_to_a_file():
    (plan,) = make_plans("scenes/a.png", output="labels.npz", overlay=True)

    assert (plan.output, plan.overlay) == (Path("labels.npz"), Path("labels-overlay.png"))


@pytest.mark.parametrize("output", ["out", "scenes"])
def test_a_single_image_may_be_written_to_a_folder(output):
    (plan,) = make_plans("scenes/b.tif", output=output)

    assert plan.output == Path(output, "b.png")


def test_the_format_is_that_of_all_outputs_in_a_folder():
    assert list_names(make_plans("scenes", form="json"), "output")[0] == "out/a.json"


@pytest.mark.parametrize(
    ("files", "inputs", "suggested"),
    [
        (["x/a.png", "x/a-mask.png"], ["x"], "{stem}-mask.png"),
        (["x/a.jpg", "x/a_mask.png"], ["x"], "{stem}_mask.png"),
        (["x/a.tif", "x/a.Masks.TIF"], ["x"], "{stem}.Masks.TIF"),
        (["x/a.png", "x/a mask.npy"], ["x/*"], "{stem} mask.npy"),
        (["x/deep/a.png", "x/deep/a-mask.png", "x/b.png"], ["x"], "{stem}-mask.png"),
        (["x/a.png", "x/masks/a.png"], ["x"], "masks/{stem}.png"),
        (["x/a.png", "x/Mask/a_mask.png"], ["x"], "Mask/{stem}_mask.png"),
        (["x/images/a.png", "x/masks/a.tif"], ["x"], "../masks/{stem}.tif"),
        (["x/a.png", "x/mask_a.png"], ["x"], "mask_{stem}.png"),
        (["x/a.tif", "x/MASK-a.TIF"], ["x"], "MASK-{stem}.TIF"),
        (["x/A.PNG", "x/A-MASK.PNG"], ["x"], "{stem}-MASK.PNG"),
        (["x/scene.png", "x/SCENE-MASK.PNG"], ["x"], "x/SCENE-MASK.PNG"),
        # As a shell expands x/*.png.
        (["x/a.png", "x/a-mask.png"], ["x/a-mask.png", "x/a.png"], "{stem}-mask.png"),
    ],
)
def test_files_that_are_named_like_masks_are_refused_with_the_pattern(files, inputs, suggested):
    for name in files:
        touch(name)

    with pytest.raises(click.UsageError) as caught:
        make_plans(*inputs, mask=None)
    assert f"--mask '{suggested}' uses masks, --mask none leaves them out" in caught.value.message

    masks = [plan.mask for plan in make_plans(*inputs, mask=suggested, optional=True)]
    assert any(masks)
    without = list_names(make_plans(*inputs, mask="none"))
    assert len(without) == len(files) - 1
    assert not any("mask" in name.lower() for name in without)


def test_a_mask_for_all_images_does_not_make_images_of_other_masks():
    with pytest.raises(click.UsageError, match="named like a mask"):
        make_plans("scenes", mask="valid.png", optional=True)


@pytest.mark.parametrize("name", ["mask.png", "face-mask.png", "amask.png", "masked.png"])
def test_a_file_that_only_sounds_like_a_mask_is_an_image(name):
    touch(f"x/{name}")
    touch("x/a.png")

    assert len(make_plans("x", mask=None)) == 2


def test_folders_of_one_class_each_may_be_called_masks():
    touch("x/masks/001.png")
    touch("x/hats/001.png")

    assert len(make_plans("x", mask=None)) == 2


def test_masks_without_their_images_are_images():
    assert len(make_plans("scenes/*-mask.png", mask=None)) == 2


def test_masks_that_a_shell_names_with_their_images_are_masks():
    names = ["scenes/a-mask.png", "scenes/a.png"]

    assert list_names(make_plans(*names)) == ["scenes/a.png"]


@pytest.mark.parametrize("pattern", ["{stem}-mask.png", "./{stem}-mask{suffix}"])
def test_a_mask_whose_image_is_missing_is_no_image(pattern):
    touch("x/a.png")
    touch("x/a-mask.png")
    touch("x/lost-mask.png")

    with pytest.raises(click.UsageError, match=r"x/lost-mask.png has none \(--mask-optional"):
        make_plans("x", mask=pattern)
    assert list_names(make_plans("x", mask=pattern, optional=True)) == ["x/a.png"]


@pytest.mark.parametrize("pattern", ["../masks/{name}", "../masks/{stem}.png"])
def test_a_mask_in_a_folder_of_masks_whose_image_is_missing_is_no_image(pattern):
    for name in ("x/images/a.png", "x/masks/a.png", "x/masks/lost.png"):
        touch(name)

    with pytest.raises(click.UsageError, match=r"x/masks/lost.png has none"):
        make_plans("x", mask=pattern)
    assert list_names(make_plans("x", mask=pattern, optional=True)) == ["x/images/a.png"]


def test_an_image_that_has_the_form_of_a_mask_and_a_mask_is_an_image():
    touch("x/face-mask.png")
    touch("x/face-mask-mask.png")

    assert list_names(make_plans("x")) == ["x/face-mask.png"]


def test_an_image_is_not_its_own_mask():
    touch("x/a.png")

    with pytest.raises(click.UsageError, match=r"must not be its own mask; x/a.png is"):
        make_plans("x/a.png", mask="{stem}.png")
    with pytest.raises(click.UsageError, match=r"x/a.png has none"):
        make_plans("x", mask="{stem}.png")


@pytest.mark.parametrize("output", ["x.png", "x.JSON", "x.gif", "x.npz", "deep/x.tif"])
@pytest.mark.parametrize(
    "inputs", [["scenes"], ["scenes/a.png", "scenes/b.tif"], ["scenes/a*.png"]]
)
def test_a_folder_of_outputs_is_not_named_like_a_file(inputs, output):
    with pytest.raises(click.UsageError, match="is named like a file"):
        make_plans(*inputs, output=output)


@pytest.mark.parametrize("output", ["labels.v2", "2024.06", "x"])
def test_a_folder_of_outputs_may_have_a_dot_in_its_name(output):
    assert len(make_plans("scenes", output=output)) == 3


def test_a_folder_that_exists_may_be_named_like_a_file():
    Path("x.png").mkdir()

    assert list_names(make_plans("scenes/a.png", output="x.png"), "output") == ["x.png/a.png"]


@pytest.mark.parametrize("output", ["notes", "notes/deep/er"])
@pytest.mark.parametrize("inputs", [["scenes"], ["scenes/a.png"]])
def test_a_file_is_no_folder_of_outputs(inputs, output):
    touch("notes")

    with pytest.raises(click.UsageError, match="must be a folder; notes is a file"):
        make_plans(*inputs, output=output)


def test_outputs_that_exist_are_refused_unless_they_may_be_replaced():
    plans = make_plans("scenes", overlay=True)
    check_existing(plans, may_replace=False)
    touch("out/a.png")
    touch("out/b-overlay.png")

    with pytest.raises(click.UsageError, match=r"out/a.png and 1 more exists \(--overwrite"):
        check_existing(plans, may_replace=False)
    check_existing(plans, may_replace=True)


def test_a_folder_in_the_place_of_an_output_is_never_replaced():
    Path("out/a.png").mkdir(parents=True)

    with pytest.raises(click.UsageError, match=r"must be a file; out/a.png is a folder"):
        check_existing(make_plans("scenes"), may_replace=True)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (["none.png"], {}, "none.png does not exist"),
        (["scenes/*.bmp"], {}, "IMAGES must hold files with"),
        (["scenes/a.png"], {"output": "a.gif"}, ", ".join(OUTPUT_SUFFIXES)),
        (["scenes/a.png"], {"output": "a.png", "form": "npy"}, "must match the suffix"),
        (["scenes"], {"output": "scenes"}, "must not be an input"),
        (["scenes/a.png"], {"output": "scenes/a.png"}, "must not be an input"),
        (["scenes/a.png"], {"output": "scenes/a-mask.png"}, "must not be an input"),
    ],
)
def test_what_is_amiss_is_said_before_anything_is_done(inputs, options, message):
    with pytest.raises(click.UsageError) as caught:
        make_plans(*inputs, **options)
    assert message in caught.value.message


def test_images_that_would_have_one_output_are_refused():
    touch("scenes/a.tif")

    with pytest.raises(click.UsageError, match=r"both have out/a\.png"):
        make_plans("scenes")


def test_outputs_within_the_folder_are_no_images():
    touch("scenes/out/a.png")

    assert len(make_plans("scenes", output="scenes/out")) == 3


def test_a_folder_may_lie_in_the_output_folder():
    assert len(make_plans("scenes", output=".", form="npy")) == 3


def test_an_image_is_not_done_when_the_mask_beside_it_is_newer(tmp_path):
    image, output, mask = (tmp_path / name for name in ("a.tif", "a.png", "a.tif.msk"))
    for age, path in enumerate((mask, output, image)):
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))

    assert not ImagePlan(image, None, output).is_done
    os.utime(mask, (998, 998))
    assert ImagePlan(image, None, output).is_done


def test_an_image_is_done_when_its_outputs_are_no_older():
    image, mask, output, overlay = (touch(name) for name in ("i.png", "m.png", "o.png", "v.png"))
    for seconds, path in enumerate((image, mask, output, overlay)):
        os.utime(path, (seconds, seconds))

    assert ImagePlan(image, mask, output, overlay).is_done
    os.utime(mask, (9, 9))
    assert not ImagePlan(image, mask, output, overlay).is_done
    assert ImagePlan(image, None, output, overlay).is_done
    overlay.unlink()
    assert not ImagePlan(image, None, output, overlay).is_done
