"""Windows of scenes on servers: the same windows, sent as ordinary requests.

A server needs to know nothing of scenes. A window and its halo are an image, and the answer for
what the window keeps is that for the whole scene, to the bit.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from lacuna.appearance.comparison import FamiliarRange
from lacuna.appearance.statistics import ChannelStatistics
from lacuna.client import AsyncClient, Question, RetryPolicy
from lacuna.client.arrays import fill_missing
from lacuna.client.catalog import choose_model, read_classes
from lacuna.errors import LacunaWarning, SceneError, UnknownModelError
from lacuna.sample import Sample, Segmentation
from lacuna.scenes.runner import SceneModel
from lacuna.windows.tiling import Tiling
from lacuna.windows.window import Window

_WINDOWS_PER_SERVER = 6
"""Enough to keep the workers of a server busy while others are on their way."""

_SAME = ("name", "version", "checksum", "classes", "total_stride", "receptive_radius", "channels")


class ServerRunner:
    """Runner of a scene's windows on one server or several with the same model.

    Args:
        clients: client of each server, by its URL.
        model: model that all of them serve.
        familiar: range of values that the model is familiar with; None if it is not known.
        timeout_s: seconds that each window may take; None for no limit.
    """

    def __init__(
        self,
        clients: Mapping[str, AsyncClient],
        model: SceneModel,
        familiar: FamiliarRange | None,
        timeout_s: float | None,
    ) -> None:
        self.model = model
        self.familiar = familiar
        self.concurrency = _WINDOWS_PER_SERVER * len(clients)
        self._clients = clients
        self._timeout_s = timeout_s
        self._free: asyncio.Queue[AsyncClient] = asyncio.Queue()
        for _ in range(_WINDOWS_PER_SERVER):
            for client in clients.values():
                self._free.put_nowait(client)

    async def segment(self, sample: Sample, keep: Window, *, probabilities: bool) -> Segmentation:
        """Segment a window; see `SceneRunner`.

        Raises:
            SceneError: if the answer has another size.
            UnknownVersionError: if the version is no longer served.
        """
        question = Question(
            fill_missing(sample.image, sample.mask),  # masked values are not sent
            sample.mask,
            probabilities,
            brief=True,
            model=self.model.name,
            version=self.model.version,
            timeout_s=self._timeout_s,
        )
        client = await self._free.get()
        try:
            result = await client.ask(question)
        finally:
            self._free.put_nowait(client)
        if result.labels.shape != sample.size:
            raise SceneError(
                f"the answer for a window must have its size, {sample.size}; it has "
                f"{result.labels.shape}"
            )
        kept, found = keep.slices, result.probabilities
        return Segmentation(result.labels[kept], None if found is None else found[kept])

    async def confirm(self) -> None:
        """Check that every server still serves the model; see `SceneRunner`."""
        for url, client in self._clients.items():
            entry = await _find_model(client, self.model.name, self.model.version)
            _check_same("the first server at the beginning", self.model, url, _describe(entry))


@asynccontextmanager
async def open_runner(
    urls: Sequence[str],
    model: str | None,
    version: str | None,
    *,
    api_key: str | None = None,
    retry: RetryPolicy | None = None,
    timeout_s: float | None = None,
) -> AsyncIterator[ServerRunner]:
    """Connect to servers, and yield what runs windows on them.

    Args:
        urls: of the servers; all must serve the same model.
        model: name of the model; None for the default one, or the only one.
        version: version of the model; None for the highest.
        api_key: sent to every server; None for none.
        retry: how long to try again when a server is overloaded or unreachable.
        timeout_s: seconds that each window may take; None for no limit.

    Raises:
        SceneError: if the servers' models differ.
        UnknownModelError: if a server has no such model, or it must be named.
        LacunaError: if a server cannot be asked.
    """
    async with AsyncExitStack() as stack:
        clients = {
            url: await stack.enter_async_context(AsyncClient(url, api_key=api_key, retry=retry))
            for url in urls
        }
        found = [await _find_model(client, model, version) for client in clients.values()]
        models = [_describe(entry) for entry in found]
        for url, other in zip(clients, models, strict=True):
            _check_same(urls[0], models[0], url, other)
        # They are told once for the whole scene.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", LacunaWarning)
        yield ServerRunner(clients, models[0], _read_familiar(found[0]), timeout_s)


async def _find_model(
    client: AsyncClient, name: str | None, version: str | None
) -> Mapping[str, Any]:
    models = [model.details for model in await client.models()]
    found = choose_model(models, name, version)
    if not found:
        names = sorted({entry["name"] for entry in models if "classes" in entry})
        raise UnknownModelError(
            f"a scene needs one model that is served; there are {', '.join(names) or 'none'}"
        )
    return found


def _describe(entry: Mapping[str, Any]) -> SceneModel:
    image, contract = entry["image"], entry["contract"]
    # An older server does not tell it of models that break the promise.
    is_exact = contract.get("exact_windows", contract["padding_invariant"])
    most_pixels = entry["limits"]["image_pixels"]
    return SceneModel(
        name=entry["name"],
        version=entry["version"],
        checksum=entry.get("checksum", ""),
        classes=read_classes(entry["classes"]),
        channels=image["channels"],
        dtype=image["dtype"],
        bands=tuple(image.get("bands") or ()),
        total_stride=entry["total_stride"],
        receptive_radius=entry["receptive_radius"],
        window_pixels=min(Tiling.max_pixels, most_pixels) if is_exact else most_pixels,
        is_exact=is_exact,
    )


def _check_same(url: str, model: SceneModel, other_url: str, other: SceneModel) -> None:
    for name in _SAME:
        if getattr(model, name) != getattr(other, name):
            raise SceneError(
                f"all servers must serve the same model; its {name} is {getattr(model, name)} on "
                f"{url} and {getattr(other, name)} on {other_url}"
            )


def _read_familiar(entry: Mapping[str, Any]) -> FamiliarRange | None:
    learnt = entry["image"].get("statistics")
    return None if learnt is None else FamiliarRange([ChannelStatistics(**c) for c in learnt])
