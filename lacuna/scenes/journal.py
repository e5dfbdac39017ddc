"""The journal of a scene: what is done, so that a run can be continued after any interruption.

Everything lies in a folder beside the output, `labels.tif.partial`, until the output is complete.
`journal` holds one JSON object a line: first the identity of the run, then the windows that are
done. The pieces of a window are renamed into their place before its line is written. So a line that
is whole is true, whatever ended the process.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from lacuna.errors import SceneError
from lacuna.windows.window import Window

_JOURNAL = "journal"
_SUFFIX = ".partial"


class WindowRecord(NamedTuple):
    """What is known of a window that is done.

    Attributes:
        counts: pixels of each class; empty if no pixel is valid, and then there are no pieces.
        is_familiar: whether its values are like those that the model was trained on.
    """

    counts: tuple[int, ...]
    is_familiar: bool


class Journal:
    """Journal of a scene that is being segmented.

    Args:
        output: file of the labels.

    Attributes:
        folder: folder of the journal and the pieces.
        done: windows that are done.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(output.name + _SUFFIX)
        self.done: dict[Window, WindowRecord] = {}
        self._file: IO[str] | None = None

    def begin(self, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Begin a run, or continue one.

        Args:
            identity: all that the output depends on, as JSON values.
            resume: True to continue a run of the same identity.
            overwrite: True to remove what an earlier run left, unless `resume` is True too: then
                only outputs are replaced.

        Raises:
            SceneError: if an earlier run left a journal and neither is True, or if its identity
                differs.
            OSError: if the folder cannot be written.
        """
        if overwrite and not resume:
            self.remove()
        if self.folder.exists() and not resume:
            raise SceneError(
                f"{self.folder} must not exist; it holds an unfinished run (--resume continues it, "
                "--overwrite starts anew)"
            )
        self.folder.mkdir(exist_ok=True)
        lines = self._read_lines()
        if lines:
            _check_identity(self.folder, lines[0], identity)
            self.done = dict(map(_parse, lines[1:]))
        # What was written after the last whole line is dropped.
        text = "".join(f"{line}\n" for line in [json.dumps(identity), *lines[1:]])
        beside = self.folder / f"{_JOURNAL}.new"
        beside.write_text(text)
        beside.replace(self.folder / _JOURNAL)
        self._file = (self.folder / _JOURNAL).open("a")

    def name_piece(self, window: Window, layer: str) -> Path:
        """Return the file of a window's piece of a layer."""
        return self.folder / f"{layer}-{window.top}-{window.left}.tif"

    def list_pieces(self, layer: str) -> dict[Window, Path]:
        """Return the pieces of a layer, from top to bottom; empty windows have none."""
        windows = sorted(window for window, record in self.done.items() if record.counts)
        return {window: self.name_piece(window, layer) for window in windows}

    def note(self, window: Window, record: WindowRecord) -> None:
        """Note that a window is done. Its pieces must be in their places.

        Raises:
            OSError: if it cannot be written.
        """
        if self._file is None:
            raise ValueError("a journal must have begun before a window is noted; it has not")
        self._file.write(f"{json.dumps([window, *record])}\n")
        self._file.flush()
        self.done[window] = record

    def close(self) -> None:
        """Close the file; the folder stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Remove the folder, because the output is complete or not wanted."""
        self.close()
        # The journal first: without it, pieces mean nothing.
        (self.folder / _JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read_lines(self) -> list[str]:
        try:
            content = (self.folder / _JOURNAL).read_bytes()
        except FileNotFoundError:
            return []
        # Only what ends in a line end was written whole.
        return content[: content.rfind(b"\n") + 1].decode().splitlines()


def fingerprint(path: str | os.PathLike[str]) -> list[int] | None:
    """Return size and time of change of a file; None for what is no file of this machine."""
    try:
        found = os.stat(path)  # noqa: PTH116 (GDAL's names are no paths)
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


def _check_identity(folder: Path, line: str, wanted: Mapping[str, Any]) -> None:
    found = json.loads(line)
    for name, value in json.loads(json.dumps(wanted)).items():
        if found.get(name) != value:
            raise SceneError(
                f"a run must be continued with the same {name}; {folder} was begun with "
                f"{found.get(name)}, and this one has {value} (--overwrite starts anew)"
            )


def _parse(line: str) -> tuple[Window, WindowRecord]:
    window, counts, is_familiar = json.loads(line)
    return Window(*window), WindowRecord(tuple(counts), is_familiar)
