"""The contract check of a model that a command has written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def check_contract(model: Path) -> str:
    """Check the contract of an exported model, as `lacuna check` and every server do.

    Runs the server's code in a process of its own, because this package does not import it.

    Args:
        model: `<repository>/<model>/<version>`.

    Returns:
        The output of the check.
    """
    lacuna = Path(sys.executable).with_name("lacuna")
    done = subprocess.run(  # noqa: S603 (our own program and folder)
        [lacuna, "check", model], capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip()
