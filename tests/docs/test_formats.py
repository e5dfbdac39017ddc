"""docs/formats.md says what the tables hold."""

from docs.write_formats import PAGE, write_page
from lacuna.outputs import OUTPUT_TYPES
from lacuna.raster.formats import FORMATS


def test_the_page_is_what_the_script_writes():
    assert PAGE.read_text() == write_page(), "make docs writes it anew"


def test_every_format_and_output_type_has_a_row():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]

    for form in FORMATS:
        assert any(row.startswith(f"| {form.name} |") for row in rows)
    for kind in OUTPUT_TYPES:
        assert any(row.startswith(f"| `{kind.suffix}` | `{kind.media_type}` |") for row in rows)
