"""Loading versions beside those that answer, swapping them, and letting the former go.

1. What answers is swapped on the event loop, in one step: a request sees what was there before or
   what comes after, and nothing between.
2. What goes is drained in the background. Who has borrowed it keeps it as long as need be, also
   beyond the time that is allowed; only its memory is freed later then.
3. A model waits with its next version until its last one has gone, so that no more than two
   generations are in memory.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence

from lacuna.errors import ModelError
from service.core.versions import Found
from service.engine.lifecycle.model_versions import ModelVersions
from service.engine.lifecycle.preparation import AbandonedError, Preparation
from service.engine.lifecycle.references import ModelReferences
from service.engine.lifecycle.version_lifecycle import VersionLifecycle
from service.engine.served import ServedModel

log = logging.getLogger(__name__)


class VersionReconciler:
    """Brings the loaded versions of models in line with the wanted ones. On the event loop only.

    Args:
        preparation: how models are made ready.
        drain_s: seconds that work with a model is waited for before it is dropped.
    """

    def __init__(self, preparation: Preparation, drain_s: float) -> None:
        self._preparation = preparation
        self._drain_s = drain_s
        self._draining: dict[asyncio.Task[None], str] = {}
        self._is_closed = False

    async def follow(self, versions: ModelVersions, found: Sequence[Found]) -> list[ModelError]:
        """Load the versions that are wanted, one after the other, then retire the others.

        Args:
            versions: of a model.
            found: its versions on the disk.

        Returns:
            What went wrong with the versions that failed.
        """
        errors = []
        while versions.wanted and not self._is_closed:
            plan = versions.plan(found)
            if not plan.load:
                for version in plan.retire:
                    self.retire(versions.name, versions.get_or_add(version))
                break
            error = await self._load(versions, plan.load[0])
            if error is not None:
                errors.append(error)
        return errors

    def retire(self, name: str, lifecycle: VersionLifecycle) -> None:
        """Let a version answer no more, and go when its work is done."""
        former = lifecycle.retire()
        if former is not None:
            self._let_go(name, lifecycle, former)

    async def finish_draining(self, name: str | None = None) -> None:
        """Wait until all that has been retired, of one model or of all, is gone."""
        leaving = [task for task, model in self._draining.items() if name in (None, model)]
        if leaving:
            await asyncio.wait(leaving)

    async def close(self) -> None:
        """Begin nothing more, and wait for nothing more."""
        self._is_closed = True
        leaving = list(self._draining)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    async def _load(self, versions: ModelVersions, item: Found) -> ModelError | None:
        await self.finish_draining(versions.name)
        lifecycle = versions.get_or_add(item.version)
        lifecycle.begin(item.fingerprint)
        failure = None
        try:
            model = await self._prepare(versions.name, lifecycle)
        except AbandonedError:
            return None
        except ModelError as error:
            # A new one: the traceback of this one holds on to the model.
            failure = type(error)(error.message)
        else:
            if versions.wanted:
                self._install(versions, lifecycle, model)
                return None
            del model  # unloaded by call before it was loaded
        await asyncio.to_thread(gc.collect)
        if failure is not None and versions.wanted:
            lifecycle.fail(failure.message)
        return failure

    def _install(
        self, versions: ModelVersions, lifecycle: VersionLifecycle, model: ServedModel
    ) -> None:
        versions.expected = True
        former = lifecycle.install(model)
        if former is not None:
            self._let_go(versions.name, lifecycle, former)

    async def _prepare(self, name: str, lifecycle: VersionLifecycle) -> ServedModel:
        loop = asyncio.get_running_loop()

        def report(done: int, total: int) -> None:
            if self._is_closed:
                raise AbandonedError
            loop.call_soon_threadsafe(lifecycle.note_progress, done / total)

        return await asyncio.to_thread(self._preparation.prepare, name, lifecycle.version, report)

    def _let_go(self, name: str, lifecycle: VersionLifecycle, former: ModelReferences) -> None:
        task = asyncio.create_task(self._drain(lifecycle, former))
        self._draining[task] = name
        task.add_done_callback(lambda done: self._draining.pop(done, None))

    async def _drain(self, lifecycle: VersionLifecycle, former: ModelReferences) -> None:
        if not await former.drain(self._drain_s):
            log.warning(
                "model dropped while work with it goes on",
                extra={"model": lifecycle.status.name, "version": lifecycle.version},
            )
        del former
        # A model is full of rings of references; left to itself the collector may take hours.
        await asyncio.to_thread(gc.collect)
        lifecycle.finish_unloading()
