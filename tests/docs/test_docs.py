"""The documentation is held to the code."""

import re
import shlex
from pathlib import Path

import pytest

from lacuna.outputs import MEDIA_TYPES
from service.listening.statuses import INTERNAL_ERROR, STATUSES
from service.wire.native.parameters import Parameters
from tests.support.apps import load_repository, serve

ROOT = Path(__file__).parents[2]
HTTP = (ROOT / "docs" / "http.md").read_text()
FORMATS = (ROOT / "docs" / "formats.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.code)
def test_every_error_is_documented_with_its_status(kind):
    status = STATUSES[kind].http
    row = re.search(rf"^\| (?:(\d+) \| )?`{kind.code}` \|", HTTP, re.MULTILINE)

    assert row
    # What never reaches a client as an answer has no status in the table.
    assert row[1] in (str(status), None if status == 500 else "")


@pytest.mark.parametrize("code", [INTERNAL_ERROR, "not_found", "method_not_allowed"])
def test_what_the_framework_refuses_is_documented_too(code):
    assert f"`{code}`" in HTTP


def test_every_route_is_documented(tmp_path):
    with serve(load_repository(tmp_path)) as client:
        paths = client.get("/openapi.json").json()["paths"]

    for path, operations in paths.items():
        # One paragraph of each protocol says how a path names a version or a label.
        documented = re.sub(r"/(?:versions|labels)/\{\w+\}", "", path)
        for method in operations:
            assert f"`{method.upper()} {documented}`" in HTTP


@pytest.mark.parametrize("name", [*MEDIA_TYPES, *Parameters.__dataclass_fields__])
def test_every_answer_and_parameter_is_documented(name):
    assert f"`{name}`" in HTTP + FORMATS


def test_every_link_leads_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readmes_curl_names_files_that_are_there():
    (command,) = re.findall(r"^curl (.*?)\n```", README, re.MULTILINE | re.DOTALL)

    files = re.findall(r"=@(\S+)", command)
    assert len(files) == 2
    assert all((ROOT / name).is_file() for name in files)
    assert "http://127.0.0.1:8000/v1/segment" in shlex.split(command.replace("\\\n", ""))


FOLDERS = (".ci", "benchmarks", "deploy", "docs", "lacuna", "model", "scripts", "service")
TEXTS = {"", ".html", ".js", ".md", ".py", ".toml", ".yml"}


def test_every_text_installs_the_distribution_by_its_name():
    files = [*ROOT.glob("*"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*"))]
    texts = {path: path.read_text() for path in files if path.is_file() and path.suffix in TEXTS}
    wrong = re.compile(r"""pip install ['"]?lacuna(?!-segmentation\b)|['"]lacuna\[""")

    assert {"Dockerfile", "Makefile", "README.md", "tracing.py"} <= {path.name for path in texts}
    assert [path for path, text in texts.items() if wrong.search(text)] == []


def test_the_repository_names_no_registry():
    for lock in ROOT.glob("requirements/*.txt"):
        assert "://" not in lock.read_text()
        assert "--index" not in lock.read_text()
        assert "--hash=sha256:" in lock.read_text()
