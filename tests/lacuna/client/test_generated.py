import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_blocking_client_is_what_the_asynchronous_one_generates():
    command = [sys.executable, "scripts/write_blocking_client.py", "--check"]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")
