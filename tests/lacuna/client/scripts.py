"""Servers that answer as a script says, and clocks that nobody waits for."""

from __future__ import annotations

import httpx2


class Script(httpx2.MockTransport):
    """Answers each request with the next of its lines; the last one stays.

    A line is a response, or an error that is raised.
    """

    def __init__(self, *lines):
        super().__init__(self._answer)
        self.lines, self.requests = list(lines), []

    def _answer(self, request):
        self.requests.append(request)
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        if isinstance(line, Exception):
            raise line
        status, headers, content = line
        return httpx2.Response(status, headers=headers, json=content)


class Time:
    """A clock that moves by what is slept."""

    def __init__(self):
        self.now_s, self.sleeps = 0.0, []

    def clock(self):
        return self.now_s

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now_s += seconds

    async def asleep(self, seconds):
        self.sleep(seconds)


def refuse(status, code="overloaded", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, headers, {"code": code, "detail": f"{code}, said the server"}


ANSWER = {
    "model": {"name": "fake", "version": "1"},
    "size": {"height": 1, "width": 2},
    "valid": {"pixels": 1, "fraction": 0.5},
    "classes": [
        {
            "id": 0,
            "name": "dark",
            "color": "#000000",
            "pixels": 1,
            "fraction": 1.0,
            "segmentation": {"size": [1, 2], "counts": [0, 1, 1]},
        }
    ],
    "timings_ms": {"infer": 1.0},
}
FINE = (200, {}, ANSWER)
