"""The wheels hold what their users need, and nothing in their users' way."""

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.inventory.packages import find_texts
from deploy.inventory.parts import read_parts
from deploy.inventory.policy import check_license
from tests.support.environments import build_wheel, install_wheel

ROOT = Path(__file__).parents[2]
PROJECTS = {"lacuna": ROOT, "service": ROOT / "service", "model": ROOT / "model"}
EXAMPLES = {
    name: re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)
    for name in ("README.md", "docs/client.md")
}
COMMAND = ["-c", "from lacuna.cli import main; main()"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    return {name: build_wheel(project, folder) for name, project in PROJECTS.items()}


@pytest.fixture(scope="module")
def client(wheels, tmp_path_factory):
    """Python of an environment that holds the client's wheel and what it requires."""
    return install_wheel(wheels["lacuna"], tmp_path_factory.mktemp("client"))


@pytest.fixture
def folder(tmp_path):
    """Folder whose modules are named like our packages, and fail if they are imported."""
    for name in ("service", "model", "client"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'{__name__} was imported')\n")
    return tmp_path


def run(python, *arguments, folder):
    return subprocess.run(
        [python, *arguments], cwd=folder, capture_output=True, text=True, check=False, env={}
    )


@pytest.mark.parametrize("package", PROJECTS)
def test_a_wheel_holds_all_of_its_package_and_nothing_else(wheels, package):
    files = [path for path in (ROOT / package).rglob("*") if path.is_file()]
    kept = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    beside = {f"{package}/pyproject.toml", f"{package}/LICENSE"}

    names = zipfile.ZipFile(wheels[package]).namelist()

    held = {name for name in names if ".dist-info/" not in name}
    assert held == kept - beside
    assert f"{package}/py.typed" in held
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_what_the_server_copies_from_others_is_recorded_byte_for_byte(wheels, tmp_path):
    with zipfile.ZipFile(wheels["service"]) as archive:
        archive.extractall(tmp_path)  # noqa: S202 (our own wheel)
    (server,) = Distribution.discover(path=[str(tmp_path)])
    (record,) = tmp_path.glob("*.dist-info/sboms/**/*.json")
    (part,) = read_parts("lacuna-segmentation-server", server)
    (component,) = json.loads(record.read_text())["components"]
    copied = tmp_path / "service" / "web" / "viewer" / "swagger-ui"
    texts = {Path(name).name for name in find_texts(server) if "swagger-ui" in name}

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(record.read_text()) is None
    assert (part.name, part.purl) == ("swagger-ui-dist", f"pkg:npm/{part.name}@{part.version}")
    check_license(part.name, part.license)
    assert texts == {"LICENSE", "LICENSE-bundle.txt", "NOTICE"}
    assert {file["name"]: file["hashes"][0]["content"] for file in component["components"]} == {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in copied.iterdir()
        if path.name != "sbom.cdx.json"
    }


@pytest.mark.parametrize("package", PROJECTS)
def test_a_wheel_can_be_built_from_its_source_distribution(wheels, tmp_path, package):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=PROJECTS[package], check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    (project,) = (path for path in tmp_path.iterdir() if path.is_dir())

    rebuilt = build_wheel(project, tmp_path)

    expected = zipfile.ZipFile(wheels[package]).namelist()
    assert sorted(zipfile.ZipFile(rebuilt).namelist()) == sorted(expected)


def test_a_client_runs_beside_modules_of_the_same_names(client, folder):
    code = "from lacuna import AsyncClient, Client; Client('http://127.0.0.1:1').close()"

    result = run(client, "-W", "error", "-c", code, folder=folder)

    assert (result.returncode, result.stderr) == (0, "")


def test_a_client_has_the_command_that_asks_a_server(client, folder):
    (folder / "scene.png").write_bytes(b"")
    arguments = ["segment", "scene.png", "-o", "out.png", "--url", "http://127.0.0.1:1"]

    result = run(client, *COMMAND, *arguments, "--patience", "0", folder=folder)

    assert result.returncode == 1
    assert "the server must answer; http://127.0.0.1:1 does not" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["serve"], ["check", "."], ["segment", "scene.png", "-o", "out.png"]]
)
def test_what_a_client_lacks_is_named_with_its_extra(client, folder, arguments):
    (folder / "scene.png").write_bytes(b"")

    result = run(client, *COMMAND, *arguments, folder=folder)

    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "needs the extra `serve`: pip install 'lacuna-segmentation[serve]'" in line


def test_mypy_sees_the_types_of_an_installed_client(client, folder, tmp_path):
    # Triton's own client has no types, and xarray is not installed with the client.
    others = ("triton", "xarray")
    codes = [
        code
        for codes in EXAMPLES.values()
        for code in codes
        if not any(name in code for name in others)
    ]
    for number, code in enumerate(codes):
        (folder / f"example{number}.py").write_text(
            code.replace("def main():", "def main() -> None:")
        )
    (folder / "wrong.py").write_text(
        "from lacuna import Client\nClient('http://x').segment(1)\n"
        "reveal_type(Client('http://x').segment('x.png').labels)\n"
    )
    examples = sorted(path.name for path in folder.glob("example*.py"))
    mypy = ["-m", "mypy", "--strict", "--config-file=", "--python-executable", client]

    fine = run(sys.executable, *mypy, *examples, folder=folder)
    wrong = run(sys.executable, *mypy, "wrong.py", folder=folder)

    assert len(examples) == 5
    assert fine.returncode == 0, fine.stdout
    assert 'has incompatible type "int"' in wrong.stdout
    assert "ndarray[" in wrong.stdout
