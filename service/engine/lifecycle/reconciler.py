"""Reconciliation of the loaded versions with the plan: load, swap, drain.

1. A version is swapped on the event loop in one step. A request sees either the former model or the
   new one.
2. A retired version is drained in the background. A request that has leased it keeps it, even
   beyond the drain time. Its memory is then freed later.
3. A version for which there was no memory is loaded again with the next scan, and so are the other
   versions of its model.
4. The next version of a model is loaded only after the retired one is gone, so at most two
   generations are in memory.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence

from lacuna.errors import LacunaError, ModelError, OutOfMemoryError
from lacuna.out_of_memory import translate_shortage
from service.core.versions import DiscoveredVersion
from service.engine.lifecycle.model_versions import ModelVersions
from service.engine.lifecycle.preparation import AbandonedError, Preparation
from service.engine.lifecycle.references import ModelReferences
from service.engine.lifecycle.version_lifecycle import VersionLifecycle
from service.engine.served import ServedModel

log = logging.getLogger(__name__)


class VersionReconciler:
    """Reconciler of the loaded versions with the planned ones. Used on the event loop only.

    Args:
        preparation: Steps that make a version ready.
        drain_s: Seconds to wait for the requests that use a retired version.

    Attributes:
        is_loading: True while a thread prepares a version.
    """

    def __init__(self, preparation: Preparation, drain_s: float) -> None:
        self._preparation = preparation
        self._drain_s = drain_s
        self._draining: dict[asyncio.Task[None], str] = {}
        self._is_closed = False
        self.is_loading = False

    async def reconcile(
        self, versions: ModelVersions, found: Sequence[DiscoveredVersion]
    ) -> list[LacunaError]:
        """Load the planned versions of a model one by one, then retire the others.

        Args:
            versions: Versions of the model.
            found: Its versions on the disk.

        Returns:
            Errors of the versions that failed.
        """
        errors: list[LacunaError] = []
        while self._may_load(versions):
            plan = versions.plan(found)
            if not plan.load:
                for version in plan.retire:
                    self.retire(versions.name, versions.get_or_add(version))
                break
            error = await self._load(versions, plan.load[0])
            if error is not None:
                errors.append(error)
            if isinstance(error, OutOfMemoryError):
                break
        return errors

    def retire(self, name: str, lifecycle: VersionLifecycle) -> None:
        """Stop serving a version, and unload it when its requests are done."""
        former = lifecycle.retire()
        if former is not None:
            self._start_draining(name, lifecycle, former)

    async def finish_draining(self, name: str | None = None) -> None:
        """Wait until the retired versions of one model, or of all models, are unloaded."""
        leaving = [task for task, model in self._draining.items() if name in (None, model)]
        if leaving:
            await asyncio.wait(leaving)

    async def close(self) -> None:
        """Stop loading, and stop waiting for retired versions."""
        self._is_closed = True
        leaving = list(self._draining)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    def _may_load(self, versions: ModelVersions) -> bool:
        """Return False if the server shuts down, or a client has unloaded the model."""
        return versions.is_enabled and not self._is_closed

    async def _load(self, versions: ModelVersions, item: DiscoveredVersion) -> LacunaError | None:
        await self.finish_draining(versions.name)
        if not self._may_load(versions):
            return None
        lifecycle = versions.get_or_add(item.version)
        lifecycle.begin_loading(item.fingerprint)
        failure: LacunaError | None = None
        try:
            model = await self._prepare(versions.name, lifecycle)
        except AbandonedError:
            return None
        except ModelError as error:
            # A new exception, because the traceback of this one references the model.
            failure = type(error)(error.message)
        except Exception as error:
            failure = translate_shortage(error, "load the model")
            if failure is None:
                raise
        else:
            if versions.is_enabled:
                self._install(versions, lifecycle, model)
                return None
            del model  # a client has unloaded the model meanwhile
        await asyncio.to_thread(gc.collect)
        if failure is not None and versions.is_enabled:
            is_passing = isinstance(failure, OutOfMemoryError)
            record = lifecycle.postpone if is_passing else lifecycle.fail
            record(failure.message)
        return failure

    def _install(
        self, versions: ModelVersions, lifecycle: VersionLifecycle, model: ServedModel
    ) -> None:
        versions.is_required = True
        former = lifecycle.install(model)
        if former is not None:
            self._start_draining(versions.name, lifecycle, former)

    async def _prepare(self, name: str, lifecycle: VersionLifecycle) -> ServedModel:
        loop = asyncio.get_running_loop()

        def report(done: int, total: int) -> None:
            if self._is_closed:
                raise AbandonedError
            loop.call_soon_threadsafe(lifecycle.note_progress, done / total)

        self.is_loading = True
        try:
            prepare = self._preparation.prepare
            return await asyncio.to_thread(prepare, name, lifecycle.version, report)
        finally:
            self.is_loading = False

    def _start_draining(
        self, name: str, lifecycle: VersionLifecycle, former: ModelReferences
    ) -> None:
        task = asyncio.create_task(self._drain(lifecycle, former))
        self._draining[task] = name
        task.add_done_callback(lambda done: self._draining.pop(done, None))

    async def _drain(self, lifecycle: VersionLifecycle, former: ModelReferences) -> None:
        if not await former.drain(self._drain_s):
            log.warning(
                "model dropped while requests still use it",
                extra={"model": lifecycle.status.name, "version": lifecycle.version},
            )
        del former
        # A model is full of reference cycles. Python's collector may not run for hours.
        await asyncio.to_thread(gc.collect)
        lifecycle.finish_unloading()
