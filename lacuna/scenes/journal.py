"""The journal of a scene: what is done, so that a run can be continued after any interruption.

Everything lies in a folder beside the output, `labels.tif.partial`, until the output is complete.
`journal` holds one JSON object a line: first the identity of the run, then the windows that are
done. The pieces of a window are renamed into their place before its line is written. So a line that
is whole is true, whatever ended the process. `lock` is locked as long as a process works there.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from lacuna.errors import SceneError
from lacuna.windows.window import Window

if sys.platform != "win32":
    import fcntl

_JOURNAL = "journal"
_LOCK = "lock"
_SUFFIX = ".partial"
_MAX_SHOWN = 300


class WindowRecord(NamedTuple):
    """Facts of a window that is done.

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
        self._lock: IO[str] | None = None

    def begin(self, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Begin a run, or continue one.

        Args:
            identity: all that the output depends on, as JSON values.
            resume: True to continue a run of the same identity.
            overwrite: True to remove what an earlier run left, unless `resume` is True too: then
                only outputs are replaced.

        Raises:
            SceneError: if an earlier run left a journal and neither is True, if its identity
                differs, or if another run is at work.
            OSError: if the folder cannot be written.
        """
        self.folder.mkdir(exist_ok=True)
        self._lock = _lock(self.folder)
        lines = self._read_lines()
        has_work = len(lines) > 1
        if has_work and not (resume or overwrite):
            raise SceneError(
                f"{self.folder} must not exist; it holds an unfinished run (--resume continues it, "
                "--overwrite starts anew)"
            )
        if not (has_work and resume):
            self._clear()
            lines = []
        if lines:
            _check_identity(self.folder, lines[0], identity)
            self.done = dict(self._take_done(lines[1:], identity["layers"]))
        # What was written after the last whole line is dropped.
        text = "".join(
            f"{line}\n" for line in [json.dumps(identity), *map(_format, self.done.items())]
        )
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
        self._file.write(f"{_format((window, record))}\n")
        self._file.flush()
        self.done[window] = record

    def close(self) -> None:
        """Close the files; the folder stays."""
        for file in (self._file, self._lock):
            if file is not None:
                file.close()
        self._file = self._lock = None

    def remove(self) -> None:
        """Remove the folder, because the output is complete or not wanted."""
        # The journal first: without it, pieces mean nothing.
        (self.folder / _JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_done(
        self, lines: Iterable[str], layers: Iterable[str]
    ) -> Iterator[tuple[Window, WindowRecord]]:
        """Yield the windows of lines, but not those whose pieces a power cut has taken."""
        for line in lines:
            try:
                window, record = _parse(line)
            except (ValueError, TypeError):
                return  # what follows was not written in order
            pieces = [self.name_piece(window, layer) for layer in layers if record.counts]
            if all(piece.is_file() and piece.stat().st_size for piece in pieces):
                yield window, record

    def _clear(self) -> None:
        """Remove what an earlier run left, the journal first."""
        (self.folder / _JOURNAL).unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()

    def _read_lines(self) -> list[str]:
        try:
            content = (self.folder / _JOURNAL).read_bytes()
        except FileNotFoundError:
            return []
        # Only what ends in a line end was written whole.
        return content[: content.rfind(b"\n") + 1].decode().splitlines()


def fingerprint(names: Iterable[str | os.PathLike[str]]) -> dict[str, list[int]]:
    """Return size and time of change of files; what is no file of this machine is left out."""
    facts = {}
    for name in names:
        with suppress(OSError, ValueError):
            found = os.stat(name)  # noqa: PTH116 (GDAL's names are no paths)
            facts[os.fspath(name)] = [found.st_size, found.st_mtime_ns]
    return facts


def _lock(folder: Path) -> IO[str] | None:
    """Lock a folder for this process. However it ends, the lock ends with it."""
    if sys.platform == "win32":
        return None
    file = (folder / _LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SceneError(
            f"an output must be written by one run at a time; another one is at work in {folder}"
        ) from None
    return file


def _check_identity(folder: Path, line: str, wanted: Mapping[str, Any]) -> None:
    found = json.loads(line)
    for name, value in json.loads(json.dumps(wanted)).items():
        if found.get(name) != value:
            raise SceneError(
                f"a run must be continued with the same {name}; {folder} was begun with "
                f"{_show(found.get(name))}, and this one has {_show(value)} (--overwrite starts "
                "anew)"
            )


def _show(value: object) -> str:
    return textwrap.shorten(str(value), _MAX_SHOWN, placeholder=" …")


def _format(entry: tuple[Window, WindowRecord]) -> str:
    window, record = entry
    return json.dumps([window, *record])


def _parse(line: str) -> tuple[Window, WindowRecord]:
    window, counts, is_familiar = json.loads(line)
    return Window(*window), WindowRecord(tuple(counts), is_familiar)
