"""Pod of a simulation: the server's own queue, costs and admission, without threads and HTTP."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.simulation.traffic import Request
from benchmarks.simulation.work import PodPolicy, count_bytes, make_model, plan
from service.core.admission import Refusal, admit
from service.core.batching import BatchPolicy, BatchQueue, compute_due_times
from service.core.lanes import Lane, QueuedWindow
from service.core.load import ClientLoad, Load, predict_ahead


@dataclass(eq=False)
class _Pending:
    """Admitted request, the number of its windows that are not done, and when its work began."""

    request: Request
    windows: int
    began_s: float | None = None


class Answer(NamedTuple):
    """Answered request: seconds in the queue, and from its arrival to its answer."""

    wait_s: float
    latency_s: float


class Call(NamedTuple):
    """Running call of the model: when it began and ends, its predicted seconds, and its windows."""

    began_s: float
    ends_s: float
    cost_s: float
    windows: list[QueuedWindow]


class Pod:
    """Server with its queue.

    Args:
        policy: Its size and limits.
        created_s: Time at which it was created, in seconds.
        running_s: Time at which its process starts; its metrics can be read from then on.
        ready_s: Time at which it gets requests.

    Attributes:
        pending: Number of requests that are admitted and not yet answered.
        is_closing: True if it gets no more requests and ends after the last answer.
    """

    def __init__(
        self, policy: PodPolicy, created_s: float, running_s: float, ready_s: float
    ) -> None:
        self.created_s, self.running_s, self.ready_s = created_s, running_s, ready_s
        self.pending = 0
        self.is_closing = False
        self._policy = policy
        self._model = make_model(policy.cost)
        self._queue = BatchQueue(BatchPolicy())
        self._calls: list[Call] = []
        self._done_s = 0.0
        self._clients: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def offer(self, request: Request) -> Refusal | None:
        """Admit a request and queue its windows, or refuse it."""
        client, body_bytes = request.client, count_bytes(request.shape)
        load, client_load = self._measure_load(request.arrived_s, client)
        refusal = admit(self._policy.admission, load, body_bytes, client_load)
        if refusal is not None:
            return refusal
        self.pending += 1
        self._clients[client] += 1
        self._bytes[client] += body_bytes
        windows = plan(self._policy.cost, request.shape, 0 if len(self._queue) else load.idle)
        costs_s = [self._model.predict_s(canvas) for canvas in windows]
        due_s = compute_due_times(request.arrived_s, costs_s)
        pending = _Pending(request, len(windows))
        for canvas, cost_s, due in zip(windows, costs_s, due_s, strict=True):
            lane = Lane(None, canvas.size, canvas.keep is None, canvas.keep)
            self._queue.add(
                QueuedWindow(lane, due, request.arrived_s, cost_s, client, payload=pending)
            )
        return None

    def begin_calls(self, now_s: float) -> list[Call]:
        """Let idle workers begin calls, and return these."""
        begun = []
        while len(self._calls) < self._policy.workers:
            batch = self._queue.take(now_s, lambda _: self._policy.cost)
            if batch is None:
                break
            seconds = self._policy.cost.predict(batch.pixels)
            for window in batch.windows:
                if window.payload.began_s is None:
                    window.payload.began_s = now_s
                    seconds += self._policy.request_s
            cost_s = sum(window.cost_s for window in batch.windows)
            begun.append(Call(now_s, now_s + seconds, cost_s, batch.windows))
            self._calls.append(begun[-1])
        return begun

    def end_call(self, call: Call) -> list[Answer]:
        """End a call, and return the answers of the requests that it completes."""
        self._calls.remove(call)
        self._done_s += call.ends_s - call.began_s
        answers = []
        for window in call.windows:
            pending: _Pending = window.payload
            pending.windows -= 1
            if not pending.windows and pending.began_s is not None:
                arrived_s = pending.request.arrived_s
                answers.append(Answer(pending.began_s - arrived_s, call.ends_s - arrived_s))
                self._forget(pending.request)
        return answers

    def measure_queue(self) -> float:
        """Return `lacuna_queue_predicted_seconds`."""
        return sum(self._queue.backlog.work_s.values())

    def measure_busy(self, now_s: float) -> float:
        """Return the seconds that its workers have been busy so far, in all."""
        return self._done_s + sum(now_s - call.began_s for call in self._calls)

    def _forget(self, request: Request) -> None:
        self.pending -= 1
        for counts, number in ((self._clients, 1), (self._bytes, count_bytes(request.shape))):
            counts[request.client] -= number
            if not counts[request.client]:
                del counts[request.client]

    def _measure_load(self, now_s: float, client: str) -> tuple[Load, ClientLoad]:
        """Measure the load, and the part of it that a client causes, as the admission gate does."""
        waiting_s = self._queue.backlog.work_s
        load = Load(
            waiting_s=sum(waiting_s.values()),
            running_s=sum(max(call.began_s + call.cost_s - now_s, 0.0) for call in self._calls),
            workers=self._policy.workers,
            pending=self.pending,
            pending_bytes=self._bytes.total(),
            idle=self._policy.workers - len(self._calls),
            ahead_s=predict_ahead(waiting_s, client),
        )
        own = ClientLoad(self._clients[client], self._bytes[client], waiting_s.get(client, 0.0))
        return load, own
