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


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    output = tmp_path / "file" / "labels"
    output.parent.touch()

    result = CliRunner().invoke(main, ["segment", "docs/pictures", "-o", str(output)])

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "Not a directory" in line
