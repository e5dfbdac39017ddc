import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from lacuna.cli import main

WITHOUT = """
import sys
sys.modules[{missing!r}] = None  # as if it were not installed
from lacuna.cli import main
main({arguments!r})
"""


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("uvicorn", ["serve"]),
        ("pydantic_core", ["check", "."]),
        ("tensorflow", ["check", "service/demo/models/groundcover/1"]),
    ],
)
def test_what_is_not_installed_is_named_with_the_extra_that_brings_it(missing, arguments):
    code = WITHOUT.format(missing=missing, arguments=arguments)

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {missing}")
    assert "pip install 'lacuna-segmentation[serve]'; in a clone: make setup" in result.stderr


def test_a_mistake_of_our_own_is_not_hidden():
    @click.command()
    def broken():
        raise ZeroDivisionError

    main.add_command(broken, "broken")
    try:
        result = CliRunner().invoke(main, ["broken"])
    finally:
        del main.commands["broken"]

    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("command", [[], ["serve"], ["segment"], ["check"]])
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(main, [*command, "--help"])

    assert result.exit_code == 0
    assert "Usage:" in result.stdout
