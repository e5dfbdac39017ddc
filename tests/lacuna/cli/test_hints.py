from click.testing import CliRunner

from lacuna import client, errors
from lacuna.cli import main
from lacuna.cli.hints import HINTS

MISSING = ["segment", "pyproject.toml", "-o", "x.png", "--url", "http://127.0.0.1:1"]


def test_every_hint_is_of_an_error_that_there_is():
    kinds = [*vars(errors).values(), *vars(client).values()]
    codes = {getattr(kind, "code", None) for kind in kinds}

    assert set(HINTS) <= codes


def test_an_error_is_one_line_with_a_hint():
    result = CliRunner().invoke(main, MISSING)

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: the server must answer; http://127.0.0.1:1 does not")
    assert "is `lacuna serve` running there?" in line


def test_debug_shows_where_an_error_comes_from():
    result = CliRunner().invoke(main, ["--debug", *MISSING])

    assert isinstance(result.exception, client.UnreachableError)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    output = tmp_path / ("long" * 100)

    result = CliRunner().invoke(main, ["segment", "docs/pictures", "-o", str(output)])

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.endswith("File name too long")


def test_a_file_in_the_place_of_a_folder_is_a_wrong_command_line(tmp_path):
    output = tmp_path / "file" / "labels"
    output.parent.touch()

    result = CliRunner().invoke(main, ["segment", "docs/pictures", "-o", str(output)])

    assert result.exit_code == 2
    assert f"--output must be a folder; {output.parent} is a file" in " ".join(
        result.stderr.split()
    )
