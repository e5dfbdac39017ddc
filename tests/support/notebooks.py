"""Notebooks, run as Jupyter does, without its kernel."""

import ast
from contextlib import redirect_stdout
from io import StringIO

from scripts.documentation.notebooks import FOLDER, list_cells


def run_notebook(name: str, *replaced: tuple[str, str]) -> str:
    """Run the cells of a notebook one after the other, and show the last value of each.

    Args:
        name: of its file, without the suffix.
        replaced: pairs of a text in the cells and what stands in its place.

    Returns:
        what the cells print.
    """
    namespace: dict[str, object] = {"__name__": "notebook"}
    with redirect_stdout(StringIO()) as printed:
        for kind, text in list_cells(FOLDER / f"{name}.ipynb"):
            if kind == "code":
                for old, new in replaced:
                    text = text.replace(old, new)  # noqa: PLW2901
                _show(_run_cell(text, namespace))
    return printed.getvalue()


def _run_cell(text: str, namespace: dict[str, object]) -> object:
    """Run a cell, and return the value of its last line if that is an expression."""
    tree = ast.parse(text)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)  # noqa: S102
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)  # noqa: S307


def _show(value: object) -> None:
    """Ask for the forms that a notebook shows."""
    for form in ("_repr_html_", "_repr_png_", "__repr__"):
        getattr(value, form, lambda: None)()
