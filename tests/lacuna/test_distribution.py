import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

import lacuna
from lacuna.distribution import VERSION, Extra, describe_extra, find_extra

ROOT = Path(__file__).parents[2]
PROJECTS = {
    folder: tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    for folder in (".", "service", "model")
}
MAKEFILE = (ROOT / "Makefile").read_text()
SCRIPTS = Path(sys.executable).parent


def list_requirements(project):
    yield from project["dependencies"]
    for requirements in project.get("optional-dependencies", {}).values():
        yield from requirements


def test_all_distributions_have_one_version_and_name_each_other_by_it():
    assert lacuna.__version__ == VERSION
    assert {PROJECTS[folder]["version"] for folder in ("service", "model")} == {VERSION}
    ours = [
        requirement
        for project in PROJECTS.values()
        for requirement in list_requirements(project)
        if requirement.startswith("lacuna")
    ]
    assert len(ours) == 9
    assert all(requirement.endswith(f"=={VERSION}") for requirement in ours)


@pytest.mark.parametrize("folder", ["service", "model"])
def test_every_distribution_has_the_licence(folder):
    assert (ROOT / folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_every_extra_is_installed_by_a_command_that_is_there():
    extras = PROJECTS["."]["optional-dependencies"]

    assert set(get_args(Extra)) == set(extras)
    for extra in extras:
        pip, make = describe_extra(extra).split("; in a clone: make ")
        assert pip == f"pip install 'lacuna-segmentation[{extra}]'"
        assert re.search(rf"^{make}:", MAKEFILE, re.MULTILINE)


def test_the_module_that_is_missing_tells_the_extra():
    assert find_extra("tifffile") == "formats"
    assert find_extra("imagecodecs._png") == "formats"
    assert find_extra("uvicorn") is None


def test_a_lock_leaves_our_own_distributions_out():
    for lock in ROOT.glob("requirements/*.txt"):
        assert "lacuna" not in lock.read_text()


def test_what_has_no_attribute_of_a_name_says_so():
    with pytest.raises(AttributeError, match="has no attribute 'Sever'"):
        _ = lacuna.Sever


def test_every_public_name_is_there_and_the_client_is_imported_when_it_is_used():
    code = (
        "import sys, lacuna; assert 'lacuna.client' not in sys.modules; "
        "[getattr(lacuna, name) for name in lacuna.__all__]; "
        "assert set(lacuna.__all__) <= set(dir(lacuna))"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def folder(tmp_path):
    """Folder whose modules are named like our packages."""
    for name in ("service", "model", "client"):
        (tmp_path / f"{name}.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "command", [["lacuna", "--help"], ["lacuna", "config"], ["lacuna-model", "train", "--help"]]
)
def test_commands_run_in_a_folder_of_modules_of_the_same_names(folder, command):
    program, *arguments = command

    subprocess.run([SCRIPTS / program, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_module_that_hides_the_server_is_named(folder):
    result = subprocess.run(
        [sys.executable, "-c", "from lacuna.cli import main; main()", "config"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: service.cli.config must be importable; a module named service")
