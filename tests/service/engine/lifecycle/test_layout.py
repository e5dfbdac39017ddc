import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.engine.lifecycle.layout import explain_model, explain_repository, explain_version
from service.engine.lifecycle.near_misses import list_ignored
from service.engine.lifecycle.scan import scan_model
from tests.support.repositories import write_version

REPOSITORY_RULE = "a model repository must hold <model>/<version>/saved_model.pb or model.onnx; "
VERSION_RULE = "the folder of a version must hold saved_model.pb or model.onnx; "
NOBODY = 65534


def touch(root, *places):
    """Make empty files, and folders where a place ends in a slash."""
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if place.endswith("/") else path.touch()


def explain(function, *arguments):
    """Return what is explained beyond the rule."""
    text = function(*arguments)
    for rule in (REPOSITORY_RULE, VERSION_RULE):
        text = text.removeprefix(rule)
    return text


@contextmanager
def as_nobody():
    """Drop the rights of root, before which no file is unreadable."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def public():
    """Folder that others may read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_the_layout_of_the_rule_is_right(tmp_path):
    folder = write_version(tmp_path, "m/1")

    assert explain_version(folder) == ""
    assert explain_model(tmp_path, "m") == ""
    assert explain_repository(tmp_path) == ""
    assert list_ignored(tmp_path) == []


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "model.onnx"])
def test_a_graph_as_text_or_in_onnx_is_right(tmp_path, name):
    touch(tmp_path, f"m/1/{name}")

    assert explain_version(tmp_path / "m" / "1") == ""
    assert explain_repository(tmp_path) == ""


@pytest.mark.parametrize(
    ("places", "given", "expected"),
    [
        ([], "nope", "{} does not exist"),
        ([], "", "{} is empty"),
        (["notes.txt"], "", "{} holds none"),
        (["models"], "models", "{} is a file"),
        (["m.zip"], "m.zip", "{} is an archive: unpack it"),
        (["m.keras"], "m.keras", "{} is a Keras model: export it as a SavedModel"),
        (["m.keras"], "", "{}/m.keras is a Keras model: export it as a SavedModel"),
        (
            ["m/1/saved_model.pb"],
            "m/1",
            "saved_model.pb is in {}: give its parent's parent",
        ),
        (
            ["m/saved_model.pb"],
            "m",
            "saved_model.pb is in {}: move its files to <model>/1 in it",
        ),
        (
            ["m/1/saved_model.pb"],
            "m/1/saved_model.pb",
            "{} is the graph itself: give its folder",
        ),
        (["m/1/saved_model.pb"], "m", "1/saved_model.pb is in {}: give its parent"),
        (["m/0001/saved_model.pb"], "m", "0001/saved_model.pb is in {}: give its parent"),
        (["m/saved_model.pb"], "", "saved_model.pb is in m: move its files to m/1"),
        (["m/0001/"], "", "m/0001 is no version, which has no leading zeros: name it 1"),
        (["m/00/"], "", "m/00 is no version, which has no leading zeros: name it 0"),
        (["m/1/model.onnx"], "m", "1/model.onnx is in {}: give its parent"),
        (["m/model.onnx"], "", "model.onnx is in m: move its files to m/1"),
        (["m/v1/saved_model.pb"], "", "m/v1 is no version, which is a number"),
        (["m/1"], "", "m/1 is a file"),
        (["m/model.h5"], "", "m/model.h5 is a Keras model: export it as a SavedModel"),
        (
            ["my model/1/saved_model.pb"],
            "",
            "'my model' is no name of a model, which has letters, digits, dots, dashes and _",
        ),
        (["a/m/1/saved_model.pb"], "", "the nearest is {}/a/m/1/saved_model.pb"),
        (["a/b/m/1/saved_model.pb"], "", "{} holds none"),
    ],
)
def test_what_a_repository_holds_instead_is_named(tmp_path, places, given, expected):
    touch(tmp_path, *places)
    root = tmp_path / given

    assert explain(explain_repository, root) == expected.format(root)


def test_each_model_of_a_repository_is_named(tmp_path):
    touch(tmp_path, "a/01/", "b/saved_model.pb", "c/1", "d/net.onnx")

    assert explain(explain_repository, tmp_path) == (
        "a/01 is no version, which has no leading zeros: name it 1; "
        "saved_model.pb is in b: move its files to b/1; c/1 is a file"
    )


def test_a_repository_with_a_model_is_one_whatever_else_it_holds(tmp_path):
    write_version(tmp_path, "m/1")
    touch(tmp_path, "n/01/", "saved_model.pb", "model.keras")

    assert explain_repository(tmp_path) == ""


def test_what_is_ignored_beside_models_is_listed(tmp_path):
    for place in ("m/1", "m/0002", "notes/old", ".git/01"):
        write_version(tmp_path, place)
    touch(tmp_path, "readme.txt", "m/.3.unfinished/saved_model.pb", "empty/")

    assert list_ignored(tmp_path) == [
        "m/0002 is no version, which has no leading zeros: name it 2",
        "notes/old is no version, which is a number",
    ]


@pytest.mark.parametrize(
    ("places", "given", "expected"),
    [
        ([], "m/1", "{} does not exist"),
        (["m/1/"], "m/1", "{} is empty"),
        (["m/1/notes.txt"], "m/1", "{} holds none"),
        (["m/1.zip"], "m/1.zip", "{} is an archive: unpack it"),
        (["m/1/m.keras"], "m/1", "{}/m.keras is a Keras model: export it as a SavedModel"),
        (["m/1/m.onnx"], "m/1", "{}/m.onnx is an ONNX model: name it model.onnx"),
        (["m/1/model.onnx", "m/1/saved_model.pb"], "m/1", "{} holds both: leave one"),
        (
            ["m/1/saved_model.pb/", "m/1/model.onnx"],
            "m/1",
            "saved_model.pb cannot be read: Is a directory",
        ),
        (["m/1/model.onnx"], "m", "the nearest is {}/1/model.onnx"),
        (["m/1/model.onnx"], "m/1/model.onnx", "{} is the graph itself: give its folder"),
        (["m/1/saved_model.pb"], "m", "the nearest is {}/1/saved_model.pb"),
        (["m/1/saved_model.pb"], "", "the nearest is {}/m/1/saved_model.pb"),
        (
            ["m/1/model.savedmodel/saved_model.pb"],
            "m/1",
            "the nearest is {}/model.savedmodel/saved_model.pb",
        ),
        (
            ["m/1/saved_model.pb", "m/1/variables/"],
            "m/1/variables",
            "it is in the parent of {}: give that",
        ),
        (["m/1/saved_model.pb"], "m/1/saved_model.pb", "{} is the graph itself: give its folder"),
        (["m/1/saved_model.pb/"], "m/1", "saved_model.pb cannot be read: Is a directory"),
    ],
)
def test_what_a_folder_holds_instead_of_a_version_is_named(tmp_path, places, given, expected):
    touch(tmp_path, *places)
    folder = tmp_path / given

    assert explain(explain_version, folder, str(folder)) == expected.format(folder)


def test_a_version_is_shown_by_its_place_in_the_repository(tmp_path):
    touch(tmp_path, "m/1/m.keras")

    assert explain(explain_version, tmp_path / "m" / "1").startswith("m/1/m.keras is ")


@pytest.mark.parametrize("place", ["m", "m/1", "m/1/saved_model.pb"])
def test_a_link_to_nothing_is_named(tmp_path, place):
    root = tmp_path / "root"
    link = root / place
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "gone")

    texts = [
        explain_repository(root / "m"),
        explain_model(root, "m"),
        explain_version(root / "m" / "1"),
    ]

    level = place.count("/")
    assert f"{link.name} is a link to nothing" in texts[level]
    assert str(tmp_path / "gone") not in texts[1] + texts[2]


@pytest.mark.parametrize("place", ["m", "m/1", "m/1/saved_model.pb"])
def test_what_cannot_be_read_is_named(public, place):
    write_version(public, "m/1")
    (public / place).chmod(0)
    with as_nobody():
        text = explain_model(public, "m") or explain_version(public / "m" / "1")
        scan = scan_model(public, "m")
        assert explain_repository(public) == ""
    (public / place).chmod(0o755)

    assert f"{place.removeprefix('m/1/')} cannot be read: Permission denied" in text
    assert place != "m" or scan.error == "its folder cannot be read: Permission denied"


def test_a_repository_that_cannot_be_read_is_named(public):
    root = public / "root"
    write_version(root, "m/1")
    root.chmod(0)
    with as_nobody():
        text = explain_repository(root)
    root.chmod(0o755)

    assert text == f"{REPOSITORY_RULE}{root} cannot be read: Permission denied"


def test_a_huge_folder_that_is_no_repository_is_explained_at_once(tmp_path):
    for number in range(150):
        touch(tmp_path, f"photos{number}/a/b/c/", f"photos{number}/image.png")

    assert explain(explain_repository, tmp_path) == f"{tmp_path} holds none"
