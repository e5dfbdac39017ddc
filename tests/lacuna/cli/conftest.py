from __future__ import annotations

import pytest
from click.testing import CliRunner

from lacuna.cli import main


@pytest.fixture
def segment(small_repository):
    """`lacuna segment` with a model that is loaded sooner than the demo."""

    def run(*arguments):
        options = ["--model-repository", small_repository]
        return CliRunner().invoke(main, ["segment", *map(str, [*options, *arguments])])

    return run
