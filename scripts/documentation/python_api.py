"""Reference of Python: a page for each package, which mkdocstrings fills from the docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

PACKAGES: Mapping[str, tuple[str, str]] = {
    "lacuna": (
        "Python",
        """\
`pip install lacuna-segmentation`. [Calling the server](../client.md) and
[Scenes](../scenes.md#from-python) show how they are used.""",
    ),
    "lacuna.errors": (
        "Errors",
        """\
Errors of the client, of the command line and of the server.
[Troubleshooting](../troubleshooting.md) goes by their codes.""",
    ),
    "model.layers": (
        "Layers",
        """\
Keras layers for images with invalid pixels: `pip install 'lacuna-segmentation[train]'`.
[Masking](../masking.md) has the ideas, and rules for networks made of them.""",
    ),
    "model.ops": (
        "Operations",
        """\
Functions over TensorFlow that the [layers](model.layers.md) are made of:
`pip install 'lacuna-segmentation[train]'`.""",
    ),
}
"""Title and first sentences of the page of each package."""

_LAYER_OPTIONS = """\
    options:
      filters: ["!^_", "!^(build|call|get_config)$"]"""
"""Options of mkdocstrings for layers: what Keras calls is left out, because the class tells it."""


_FURTHER: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "model.layers": (
        """\
## Arguments of convolutions

Layers name the arguments that are their own, and take these as keywords.""",
        tuple(
            f"model.layers.convolution.{name}Arguments" for name in ("Partial", "Output", "Weight")
        ),
    )
}
"""Parts of a page besides the public names: an introduction, and the paths."""


def write_python_pages() -> dict[str, str]:
    """Return the pages by their paths below docs/."""
    return {f"reference/{package}.md": _write_page(package) for package in PACKAGES}


def list_public(package: str) -> dict[str, str]:
    """Return the public names of a package, with the path of each where it is defined.

    The source is read, and not imported: that would load TensorFlow.
    """
    tree = ast.parse(_find_file(package).read_text())
    homes = dict(_list_imports(tree))
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    names = next(_list_all(tree), defined)
    return {name: homes.get(name, f"{package}.{name}") for name in names}


def _write_page(package: str) -> str:
    title, text = PACKAGES[package]
    parts = [f"# {title}: `{package}`", text]
    for name, home in list_public(package).items():
        if name == "__version__":
            parts.append(f"`{package}.__version__` is the version of the package, a string.")
        elif package == "model.layers":
            parts.append(f"::: {home}\n{_LAYER_OPTIONS}")
        else:
            parts.append(f"::: {home}")
    if package in _FURTHER:
        introduction, homes = _FURTHER[package]
        parts += [introduction, *(f"::: {home}" for home in homes)]
    return "\n\n".join([*parts, ""])


def _find_file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _list_imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each imported name and where it is defined, through packages that only pass it on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, _follow(node.module, alias.name)


def _follow(module: str, name: str) -> str:
    file = _find_file(module)
    if file.name == "__init__.py":
        passed = dict(_list_imports(ast.parse(file.read_text())))
        if name in passed:
            return passed[name]
    return f"{module}.{name}"


def _list_all(tree: ast.Module) -> Iterator[list[str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            yield ast.literal_eval(node.value)
