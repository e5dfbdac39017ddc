"""Reading of keys while the server runs.

1. SIGHUP reads the keys anew at once.
2. Kubernetes and Docker replace a mounted secret without a signal. So the files are looked at every
   `POLL_S`, and keys are read when the files have changed and two looks in a row find them equal.
   A file that is still being written is left alone.
3. Keys that cannot be used change nothing: the old ones stay, and the log says why. A faulty file
   neither opens the server to everybody nor closes it.
4. A request that was admitted with a key is answered, even if the key is gone by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from lacuna.errors import ConfigurationError
from service.listening.access import AccessControl
from service.listening.keys import KeyRing

log = logging.getLogger(__name__)

POLL_S = 10.0

_Look = tuple[tuple[int, ...], ...]


class KeyFiles:
    """Files of keys, which are read anew when they change. Used on the event loop only.

    Args:
        access_control: Access control whose keys are replaced.
        read: Function that reads the keys from all their places. It may block.
        files: Files to watch. The keys must be read after this object is made, so that no change is
            missed.
    """

    def __init__(
        self,
        access_control: AccessControl,
        read: Callable[[], KeyRing],
        files: Sequence[Path] = (),
    ) -> None:
        self._access_control = access_control
        self._read = read
        self._files = tuple(files)
        self._known = self._last = self._look()

    async def read_again(self) -> None:
        """Read the keys anew, and log one line that says what was read, or why nothing was."""
        if not self._files:
            log.info("nothing is read anew, because no file of keys is set")
            return
        self._known = self._last = await asyncio.to_thread(self._look)
        try:
            keys = await asyncio.to_thread(self._read)
        except ConfigurationError as error:
            log.error("keys stay as they were", extra={"reason": error.message})
            return
        before = self._access_control.replace_keys(keys)
        log.info(
            "keys are read anew",
            extra={
                "files": [str(file) for file in self._files],
                "keys": len(keys.names),
                "added": sorted(keys.names - before.names),
                "removed": sorted(before.names - keys.names),
            },
        )

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Poll the files until cancelled; return at once if there are none.

        Args:
            sleep: Function that waits for a number of seconds.
        """
        while self._files:
            await sleep(POLL_S)
            await self.poll()

    async def poll(self) -> None:
        """Read the keys anew if the files have changed, and are no longer changing."""
        look = await asyncio.to_thread(self._look)
        is_settled, self._last = look == self._last, look
        if is_settled and look != self._known:
            await self.read_again()

    def _look(self) -> _Look:
        return tuple(_look_at(file) for file in self._files)


def _look_at(file: Path) -> tuple[int, ...]:
    """Return what changes with a file's content; nothing if there is no file."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
