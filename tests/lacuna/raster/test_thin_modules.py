import subprocess
import sys

import pytest

HEAVY = {"PIL", "tifffile", "imagecodecs", "pydantic_core"}


@pytest.mark.parametrize("module", ["lacuna.raster.rle", "lacuna.raster.npy"])
def test_what_the_client_uses_needs_only_numpy(module):
    program = f"import {module}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, capture_output=True, check=True)
    assert not HEAVY & set(loaded.stdout.decode().split())
