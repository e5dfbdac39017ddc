import shutil
import subprocess

import pytest
from click.testing import CliRunner

from lacuna.cli import main
from lacuna.cli.completion import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_that_it_understands(shell):
    result = CliRunner().invoke(main, ["completion", shell])

    assert result.exit_code == 0
    assert f"{shell}_complete" in result.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=result.stdout, text=True, check=True)


def test_another_shell_is_refused():
    assert CliRunner().invoke(main, ["completion", "csh"]).exit_code == 2


def test_commands_are_completed():
    environment = {
        "_LACUNA_COMPLETE": "bash_complete",
        "COMP_WORDS": "lacuna se",
        "COMP_CWORD": "1",
    }

    result = CliRunner().invoke(main, env=environment, prog_name="lacuna")

    assert sorted(result.stdout.split()) == ["plain,segment", "plain,serve"]
