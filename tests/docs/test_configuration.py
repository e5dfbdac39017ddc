"""docs/configuration.md says of the settings what they say of themselves."""

import re

import pytest

from docs.write_configuration import BEGIN, END, PAGE, write_page
from service.cli.serve import serve
from service.config import Settings, list_fields, list_variables

TEXT = PAGE.read_text()
TABLE = TEXT[TEXT.index(BEGIN) : TEXT.index(END)]


def test_the_page_is_what_the_script_writes():
    assert write_page(TEXT) == TEXT, "make docs writes it anew"


def test_the_prose_around_the_table_stays_and_the_table_is_made_anew():
    page = write_page(f"before\n{BEGIN}| an old table |\n{END}after\n")

    assert page.startswith(f"before\n{BEGIN}| variable |")
    assert page.endswith(f"|\n{END}after\n")
    assert "an old table" not in page


@pytest.mark.parametrize("marker", [BEGIN, END])
def test_a_page_without_a_marker_is_refused(marker):
    with pytest.raises(ValueError, match="must have the line"):
        write_page(TEXT.replace(marker, ""))


def test_every_setting_has_a_row_and_says_what_it_means():
    rows = re.findall(r"^\| `(LACUNA_\w+)` \| (.+?) \| (.+) \|$", TABLE, re.MULTILINE)

    assert [variable for variable, _, _ in rows] == list_variables()
    assert all(field.description for _, field in list_fields())


def test_a_documented_value_is_the_default(monkeypatch):
    for name in list_variables():
        monkeypatch.delenv(name, raising=False)
    defaults = re.findall(r"^\| `LACUNA_(\w+)` \| `([^`]+)`", TABLE, re.MULTILINE)

    assert len(defaults) > 20
    for name, default in defaults:
        value = Settings()
        for part in name.lower().split("__"):
            value = getattr(value, part)
        assert str(value) == default


def test_every_option_of_the_server_is_named():
    named = re.findall(r"; `(--[\w-]+)` \|$", TABLE, re.MULTILINE)

    assert len(named) == len(serve.params)
    assert {"--host", "--no-docs", "--api-keys-file"} <= set(named)
