"""The documentation site has a reference of everything, and no page is lost."""

import re
from pathlib import Path

import pytest

import lacuna
from docs.draw_figures import FIGURES
from lacuna import errors
from lacuna.client import failures
from scripts.documentation.__main__ import list_foreign
from scripts.documentation.assembling import complete_navigation, write_site
from scripts.documentation.commands import PROGRAMS
from scripts.documentation.gathering import gather_pages
from scripts.documentation.http_operations import make_document
from scripts.documentation.python_api import list_public
from service.cli.serve import serve
from service.listening.statuses import INTERNAL_ERROR
from service.platforms import DEMO_REPOSITORY
from service.runtime.manifest import read_manifest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Folder of the pages as the generator of the site gets them."""
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    return folder / "pages"


def list_codes(module):
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type)]
    return {kind.code for kind in kinds if isinstance(getattr(kind, "code", None), str)}


def test_every_error_has_a_paragraph_on_what_to_do(pages):
    headings = re.findall(
        r"^### `(\w+)`$", (pages / "troubleshooting.md").read_text(), re.MULTILINE
    )

    of_the_framework = {INTERNAL_ERROR, "not_found", "method_not_allowed"}
    assert sorted(headings) == sorted(list_codes(errors) | list_codes(failures) | of_the_framework)


def test_every_operation_of_http_is_in_the_reference(pages):
    text = (pages / "reference/http-operations.md").read_text()

    for path, operations in make_document()["paths"].items():
        for method in operations:
            assert f"\n### {method.upper()} {path}\n" in text


def test_every_command_is_in_the_reference_with_its_options(pages):
    text = (pages / "reference/commands.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert {"lacuna serve", "lacuna segment", "lacuna check", "lacuna-model train"} <= {*headings}
    for program in ("lacuna", "lacuna-model"):
        listed = re.search(rf"^Usage: {program} .*?^Commands:\n(.*?)^```", text, re.M | re.S)[1]
        names = re.findall(r"^  ([a-z-]+)", listed, re.MULTILINE)
        assert {f"{program} {name}" for name in names} <= {*headings}
    for parameter in serve.params:
        assert parameter.opts[0] in text


_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(
    r"^(?:\w+=\S+ +)*(?:\.venv/bin/)?(lacuna|lacuna-model|make) +(.*)", re.MULTILINE
)
_DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/models/*.md")]


def list_commands_shown(page):
    """Yield the program and the words of each command in a block of a page."""
    for block in _FENCE.findall(page.read_text()):
        for program, words in _COMMAND.findall(re.sub(r" *\\\n *", " ", block)):
            yield program, words.partition(" #")[0].split()


@pytest.mark.parametrize("page", _DOCUMENTS, ids=lambda page: page.name)
def test_commands_options_and_targets_on_a_page_exist(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    for program, (name, *words) in list_commands_shown(page):
        if program == "make":
            assert name in targets, name
        elif not name.startswith("-"):
            command = PROGRAMS[program].get_command(None, name)
            known = [
                o for parameter in command.params for o in parameter.opts + parameter.secondary_opts
            ]
            used = [word.partition("=")[0] for word in words if word.startswith("--")]
            assert {*used} <= {*known, "--help"}, f"{program} {name}"


def test_commands_are_found_on_pages():
    shown = [command for page in _DOCUMENTS for command in list_commands_shown(page)]

    assert ("lacuna", ["check", "models/mine/1"]) in shown
    assert ("make", ["docs-site"]) in shown
    assert len(shown) > 60


@pytest.mark.parametrize("package", ["lacuna", "model.layers", "model.ops"])
def test_every_public_name_is_in_the_reference(package, pages):
    text = (pages / f"reference/{package}.md").read_text()
    source = ROOT.joinpath(*package.split("."), "__init__.py").read_text()
    exported = re.findall(r'"(\w+)"', re.search(r"__all__ = \[(.*?)\]", source, re.DOTALL)[1])

    assert exported
    for name in exported:
        assert re.search(rf"^::: [\w.]+\.{name}$|`{package}\.{name}`", text, re.MULTILINE), name


def test_a_name_is_described_where_it_is_defined():
    assert list_public("lacuna")["Client"] == "lacuna.client._sync.client.Client"
    assert list_public("model.ops")["convolve"] == "model.ops.convolution.convolve"
    for name, home in list_public("lacuna").items():
        assert getattr(lacuna, name) is not None
        assert home.endswith(f".{name}")


def test_every_name_has_an_anchor_of_its_own():
    for package in ("lacuna", "lacuna.errors", "model.layers", "model.ops"):
        homes = list_public(package)
        assert len({*homes.values()}) == len(homes)


def test_a_link_that_leaves_the_documents_leads_to_a_copy(pages):
    text = (pages / "grpc.md").read_text()

    assert "](files/service/interfaces/inference.proto.txt)" in text
    assert (
        "service GRPCInferenceService"
        in (pages / "files/service/interfaces/inference.proto.txt").read_text()
    )
    assert "](files/deploy/kubernetes.md)" in (pages / "kubernetes.md").read_text()
    assert (
        "](kubernetes/base/deployment.yaml.txt)"
        in (pages / "files/deploy/kubernetes.md").read_text()
    )


def test_decisions_are_listed_by_title(pages):
    text = (pages / "decisions/index.md").read_text()

    assert "- [The engine: worker threads that pull batches](0006-the-engine.md)" in text
    assert text.count("\n- [") == len([*ROOT.glob("docs/decisions/0*.md")])
    assert "](decisions/index.md)" in (pages / "architecture.md").read_text()


def test_links_in_code_are_left_alone(tmp_path):
    gather_pages(tmp_path, {"new.md": "```\n[a](../README.md)\n```\n[b](../README.md#who)\n"})

    assert (tmp_path / "new.md").read_text() == "```\n[a](../README.md)\n```\n[b](index.md#who)\n"


def test_a_folder_in_the_navigation_stands_for_its_pages():
    nav = ["index.md", {"All": [{"Decisions": "decisions/"}]}]

    assert complete_navigation(
        nav, ["index.md", "decisions/b.md", "decisions/a.md", "decisions/index.md"]
    ) == [
        "index.md",
        {"All": [{"Decisions": ["decisions/index.md", "decisions/a.md", "decisions/b.md"]}]},
    ]


@pytest.mark.parametrize(
    ("nav", "pages", "named"),
    [
        (["index.md"], ["index.md", "lost.md"], "lost.md"),
        (["index.md", "gone.md"], ["index.md"], "gone.md"),
        (["index.md", "index.md"], ["index.md"], "twice"),
    ],
)
def test_a_page_outside_the_navigation_is_refused(nav, pages, named):
    with pytest.raises(ValueError, match=f"must name every page once; .*{named}"):
        complete_navigation(nav, pages)


@pytest.mark.parametrize(
    ("tag", "count"),
    [
        ('<script src="https://cdn.example.org/a.js"></script>', 1),
        ('<link rel="stylesheet" href="//fonts.example.org/a.css">', 1),
        ('<img alt="" src=http://example.org/a.png>', 1),
        ('<script src="assets/a.js"></script><a href="https://example.org">text</a>', 0),
    ],
)
def test_what_a_page_loads_from_other_hosts_is_found(tag, count, tmp_path):
    (tmp_path / "page.html").write_text(tag)

    assert len(list_foreign(tmp_path)) == count


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_what_the_code_draws(name):
    assert (ROOT / "docs" / "pictures" / name).read_text() == FIGURES[name]()


@pytest.mark.parametrize("name", ["aerial", "groundcover"])
def test_the_card_of_a_model_has_the_scores_of_its_manifest(name):
    card = (ROOT / "docs" / "models" / f"{name}.md").read_text()
    scores = read_manifest(DEMO_REPOSITORY / name / "1").scores["mean_iou"]
    row = re.search(r"^\| mean IoU \| (.+) \|$", card, re.MULTILINE)[1].split(" | ")

    assert [float(score) for score in row] == pytest.approx(list(scores.values()), abs=6e-4)
