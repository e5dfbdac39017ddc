import os
from pathlib import Path

import click
import pytest

from lacuna.cli.segment_plan import Job, find_mask, plan_jobs
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


def plan(*inputs, mask="{stem}-mask.png", output="out", form=None, overlay=False, optional=False):
    return plan_jobs(inputs, mask, Path(output), form, overlay=overlay, mask_optional=optional)


def list_names(jobs, of="image"):
    return [str(getattr(job, of)) for job in jobs]


def test_a_folder_stands_for_its_images_without_their_masks():
    jobs = plan("scenes")

    assert list_names(jobs) == ["scenes/a.png", "scenes/b.tif", "scenes/deep/c.jpg"]
    assert list_names(jobs, "output") == ["out/a.png", "out/b.png", "out/deep/c.png"]
    assert list_names(jobs, "mask")[2] == "scenes/deep/c-mask.png"


def test_a_glob_stands_for_what_it_finds():
    assert list_names(plan("scenes/*.png")) == ["scenes/a.png"]
    assert len(plan("scenes/**/*.*")) == 3


def test_what_is_named_twice_is_done_once():
    assert len(plan("scenes", "scenes/a.png", "scenes/*.tif")) == 3


def test_a_mask_that_is_named_itself_is_an_image():
    assert list_names(plan("scenes/a-mask.png", mask=None)) == ["scenes/a-mask.png"]


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
        plan("scenes", mask=pattern)


def test_a_missing_mask_is_refused_unless_it_is_optional():
    Path("scenes/b-mask.png").unlink()

    with pytest.raises(click.UsageError, match=r"b-mask.png of scenes/b.tif \(--mask-optional"):
        plan("scenes")
    assert list_names(plan("scenes", optional=True), "mask")[1] == "None"


def test_a_single_image_may_be_written_to_a_file():
    (job,) = plan("scenes/a.png", output="labels.npz", overlay=True)

    assert (job.output, job.overlay) == (Path("labels.npz"), Path("labels-overlay.png"))


@pytest.mark.parametrize("output", ["out", "scenes"])
def test_a_single_image_may_be_written_to_a_folder(output):
    (job,) = plan("scenes/b.tif", output=output)

    assert job.output == Path(output, "b.png")


def test_the_format_is_that_of_all_outputs_in_a_folder():
    assert list_names(plan("scenes", form="json"), "output")[0] == "out/a.json"


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
        plan(*inputs, **options)
    assert message in caught.value.message


def test_images_that_would_have_one_output_are_refused():
    touch("scenes/a.tif")

    with pytest.raises(click.UsageError, match=r"both have out/a\.png"):
        plan("scenes")


def test_outputs_within_the_folder_are_no_images():
    touch("scenes/out/a.png")

    assert len(plan("scenes", output="scenes/out")) == 3


def test_a_folder_may_lie_in_the_output_folder():
    assert len(plan("scenes", output=".", form="npy")) == 3


def test_an_image_is_not_done_when_the_mask_beside_it_is_newer(tmp_path):
    image, output, mask = (tmp_path / name for name in ("a.tif", "a.png", "a.tif.msk"))
    for age, path in enumerate((mask, output, image)):
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))

    assert not Job(image, None, output).is_done
    os.utime(mask, (998, 998))
    assert Job(image, None, output).is_done


def test_an_image_is_done_when_its_outputs_are_no_older():
    image, mask, output, overlay = (touch(name) for name in ("i.png", "m.png", "o.png", "v.png"))
    for seconds, path in enumerate((image, mask, output, overlay)):
        os.utime(path, (seconds, seconds))

    assert Job(image, mask, output, overlay).is_done
    os.utime(mask, (9, 9))
    assert not Job(image, mask, output, overlay).is_done
    assert Job(image, None, output, overlay).is_done
    overlay.unlink()
    assert not Job(image, None, output, overlay).is_done
