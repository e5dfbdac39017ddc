"""A server of the page in a process of its own, which a browser can be driven against.

Python's asyncio and Playwright's do not share a thread; and a server that is dropped is to be gone.
"""

from __future__ import annotations

import argparse
import fcntl
from pathlib import Path
from typing import Any

from lacuna.raster.limits import ImageLimits
from service.core.versions import VersionPolicy
from service.engine.lifecycle.repository import ModelRepository, RepositoryPolicy
from service.listening.access import AccessControl
from service.listening.keys import KeyRing, read_keys
from service.platforms import DEMO_REPOSITORY
from service.runtime.fake import FAKE_MANIFEST, FakeRuntime
from service.runtime.manifest import Manifest
from service.runtime.protocol import BatchOutput, Runtime
from service.web.app import make_app
from service.web.proxies import ProxyPolicy
from service.web.server import Server
from tests.support.apps import make_repository_folder, make_services
from tests.support.live import tell_address
from tests.support.trained import BYTE_STATISTICS

COLORS = {"dark": "#1d4e89", "medium": "#e07a1f", "bright": "#7fb800"}
_MANIFEST = FAKE_MANIFEST.model_dump(by_alias=True) | {
    "name": "three",
    "image": {"channels": 3, "dtype": "uint8", "statistics": [BYTE_STATISTICS] * 3},
    "classes": [
        {"id": number, "name": name, "color": color}
        for number, (name, color) in enumerate(COLORS.items())
    ],
}


class Held(FakeRuntime):
    """Of three channels and coloured classes; waits for as long as a file is locked."""

    def __init__(self, hold: Path) -> None:
        super().__init__(Manifest.model_validate(_MANIFEST))
        self._hold = hold

    def run(self, images: Any, masks: Any, *, probabilities: bool, keep: Any = None) -> BatchOutput:
        with self._hold.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        return super().run(images, masks, probabilities=probabilities, keep=keep)


def main() -> None:
    """Serve until killed; the address is the first line that is printed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--demo", nargs="+", help="models of the demo; a fake one if missing")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--image-pixels", type=int, default=ImageLimits.image_pixels)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--trusted", nargs="*", default=[])
    given = parser.parse_args()
    if given.demo:
        policy = RepositoryPolicy(default_model=given.demo[0])
        repository = ModelRepository(DEMO_REPOSITORY, _load_demo, given.demo, policy=policy)
    else:
        root = given.folder / "models"
        if not root.exists():
            make_repository_folder(root, "three/1", "three/2")
        policy = RepositoryPolicy(versions=VersionPolicy.parse("all"))
        repository = ModelRepository(root, lambda _: Held(given.folder / "hold"), policy=policy)
    keys = [] if given.keys is None else read_keys(given.keys.read_text())
    limits = ImageLimits(image_pixels=given.image_pixels)
    services = make_services(
        repository,
        None,
        limits,
        access_control=AccessControl(KeyRing(keys)),
        proxies=ProxyPolicy(tuple(given.trusted)),
    )
    server = Server(make_app(services), services.gate, port=given.port)
    tell_address(server)
    server.run()


def _load_demo(folder: Path) -> Runtime:
    from service.runtime.saved_model import SavedModelRuntime  # noqa: PLC0415 (TensorFlow)

    return SavedModelRuntime(folder)


if __name__ == "__main__":
    main()
