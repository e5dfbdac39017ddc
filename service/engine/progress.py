"""Progress of requests, for the clients that have sent them.

1. A request can be watched if its client has given it an id. Nothing is noted of others.
2. A client sees its own requests only: the same id of another client is another request.
3. A request is known from its arrival until its answer is ready. The last ones are remembered, so
   that a client that looks a moment later learns of the end.
4. The board belongs to the event loop. Worker threads only change the counts of jobs.
"""

from __future__ import annotations

from service.engine.jobs import Job

REMEMBERED = 1024
"""Ended requests that are remembered, a few hundred bytes each. Clients look every second or so."""


class Progress:
    """Progress of a request, in windows.

    Args:
        client: Name of the client that has sent it.
        request_id: Id that the client has given it.

    Attributes:
        key: Client and id.
        total: Number of windows that are queued or finished. It is 0 until the first image is
            planned, and grows while others are.
        has_ended: True once the answer is ready, or the request has failed.
    """

    __slots__ = ("_jobs", "_left", "has_ended", "key", "total")

    def __init__(self, client: str, request_id: str) -> None:
        self.key = (client, request_id)
        self.total = 0
        self.has_ended = False
        self._jobs: list[Job] = []
        self._left = 0

    @property
    def done(self) -> int:
        """Number of finished windows."""
        return self.total - self._left - sum([job.remaining for job in self._jobs])

    def add(self, job: Job) -> None:
        """Count the windows of a queued job."""
        self.total += len(job.windows)
        self._jobs.append(job)

    def end(self) -> None:
        """Note the end, and forget the jobs, which refer to images."""
        self._left = self.total - self.done
        self._jobs.clear()
        self.has_ended = True


class ProgressBoard:
    """Board of the requests that can be watched.

    Args:
        remembered: Number of ended requests that are remembered.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._running: dict[tuple[str, str], Progress] = {}
        self._ended: dict[tuple[str, str], Progress] = {}  # the oldest first

    def begin(self, client: str, request_id: str) -> Progress:
        """Begin to note a request. It takes the place of an earlier one of the same id.

        Args:
            client: Name of the client.
            request_id: Id that the client has given the request.
        """
        progress = Progress(client, request_id)
        self._running[progress.key] = progress
        return progress

    def end(self, progress: Progress) -> None:
        """Note the end of a request."""
        progress.end()
        if self._running.get(progress.key) is not progress:
            return
        del self._running[progress.key]
        self._ended.pop(progress.key, None)
        self._ended[progress.key] = progress
        if len(self._ended) > self._remembered:
            del self._ended[next(iter(self._ended))]

    def find(self, client: str, request_id: str) -> Progress | None:
        """Return the progress of a client's request; None if none of this id is known."""
        key = (client, request_id)
        return self._running.get(key) or self._ended.get(key)
