from __future__ import annotations

import pytest

from tests.support.apps import load_repository, make_repository_folder
from tests.support.live import serve_live


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Host and port of a server of the fake model."""
    root = make_repository_folder(tmp_path_factory.mktemp("models"))
    with serve_live(load_repository(root)) as address:
        yield address
