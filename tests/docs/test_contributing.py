"""Tests are as CONTRIBUTING.md says: they neither sleep nor patch."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FORBIDDEN = {
    "time.sleep",
    "asyncio.sleep",
    "page.wait_for_timeout",
    "visit.page.wait_for_timeout",
    "monkeypatch.setattr",
    "monkeypatch.delattr",
    "monkeypatch.setitem",
    "monkeypatch.delitem",
    "mock",
    "unittest.mock",
}


def list_names(tree):
    """Return the names of all that is called and of all modules that are imported from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_test_sleeps_or_patches():
    found = {
        str(path.relative_to(TESTS)): FORBIDDEN & set(list_names(ast.parse(path.read_text())))
        for path in TESTS.rglob("*.py")
    }

    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "line",
    [
        "time.sleep(1)",
        "from time import sleep",
        "await asyncio.sleep(0)",
        "from unittest import mock",
        "from unittest.mock import patch",
        "monkeypatch.setattr(os, 'name', 'nt')",
    ],
)
def test_sleeping_and_patching_are_recognized(line):
    assert FORBIDDEN & set(list_names(ast.parse(line)))
