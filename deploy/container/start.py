# ruff: noqa: INP001 (a script)
"""The image's ENTRYPOINT: `lacuna`, as a container's first process.

To the first process the kernel delivers no signal that it has no handler for. Until the server is
there to catch it, which takes seconds on a busy machine, SIGTERM would be lost, and whoever stops
the container would wait in vain before killing it.
"""

import importlib.util
import os
import signal
import sys

# Nothing was taken in yet that could be cut off.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

# GDAL and PROJ find their data where the image has them, not where variables from outside say. PROJ
# fetches nothing, and does not write what is wrong with a client's CRS to the standard error.
rasterio = importlib.util.find_spec("rasterio")
(folder,) = rasterio.submodule_search_locations if rasterio else ("",)
os.environ |= {
    "GDAL_DATA": f"{folder}/gdal_data",
    "PROJ_DATA": f"{folder}/proj_data",
    "PROJ_NETWORK": "OFF",
    "PROJ_DEBUG": "0",
}
os.environ.pop("PROJ_LIB", None)
os.environ.pop("GDAL_DRIVER_PATH", None)

from lacuna.cli import main  # noqa: E402 (it takes time, in which the signal may come)

main(prog_name="lacuna")
