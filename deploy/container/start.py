# ruff: noqa: INP001 (a script)
"""The image's ENTRYPOINT: `lacuna`, as a container's first process.

To the first process the kernel delivers no signal that it has no handler for. Until the server is
there to catch it, which takes seconds on a busy machine, SIGTERM would be lost, and whoever stops
the container would wait in vain before killing it.
"""

import signal
import sys

# Nothing was taken in yet that could be cut off.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

from lacuna.cli import main  # noqa: E402 (it takes time, in which the signal may come)

main(prog_name="lacuna")
