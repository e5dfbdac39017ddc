"""Write lacuna/client/_sync, the blocking client, from lacuna/client/_async.

python scripts/write_blocking_client.py            writes it
python scripts/write_blocking_client.py --check    fails if it is not what would be written
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from unasync import Rule, unasync_files

ROOT = Path(__file__).parents[1]
CLIENT = Path("lacuna", "client")
HEADER = "# Generated from lacuna/client/_async by `make unasync`; edits belong there.\n"

# Names whose blocking counterpart is not found by leaving out `async`.
REPLACEMENTS = {
    "_async": "_sync",
    "AsyncBaseTransport": "BaseTransport",
    "AsyncClient": "Client",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "tasks": "threads",
}


def generate(scratch: Path) -> dict[Path, str]:
    """Return the blocking client's files, by their paths in the repository."""
    source, target = scratch / CLIENT / "_async", scratch / CLIENT / "_sync"
    shutil.copytree(ROOT / CLIENT / "_async", source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", scratch)
    rule = Rule(f"{source}/", f"{target}/", additional_replacements=REPLACEMENTS)
    unasync_files([str(path) for path in source.glob("*.py")], [rule])
    for path in target.glob("*.py"):
        path.write_text(HEADER + path.read_text())
    for command in (["check", "--quiet", "--fix", "--select", "I"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, target], cwd=scratch, check=True)  # noqa: S603
    return {path.relative_to(scratch): path.read_text() for path in target.glob("*.py")}


def main() -> None:
    """Write the files, or compare them with what is there."""
    with TemporaryDirectory() as scratch:
        files = generate(Path(scratch))
    (ROOT / CLIENT / "_sync").mkdir(exist_ok=True)
    stale = [
        path
        for path, text in files.items()
        if not (ROOT / path).is_file() or (ROOT / path).read_text() != text
    ]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"{', '.join(map(str, stale))} must be generated again: make unasync")
        return
    for path in stale:
        (ROOT / path).write_text(files[path])


main()
