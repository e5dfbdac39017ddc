"""Responses with large contents, sent as fast as their clients read them."""

from __future__ import annotations

import weakref

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.exchange import LARGE_ANSWER_BYTES
from service.wire.dialect import Reply

_PIECE_BYTES = 1 << 18


class LargeResponse(Response):
    """Response that is sent in pieces.

    Uvicorn waits before each piece until the client has read most of the one before. So the memory
    of the content is not handed over to the buffer of the connection at once, where nothing counts
    it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        del scope, receive
        start = {"type": "http.response.start", "status": self.status_code}
        await send(start | {"headers": self.raw_headers})
        content = memoryview(self.body)
        for begin in range(0, len(content), _PIECE_BYTES):
            end = begin + _PIECE_BYTES
            piece = bytes(content[begin:end])
            more = end < len(content)
            await send({"type": "http.response.body", "body": piece, "more_body": more})


def make_response(reply: Reply) -> Response:
    """Make the response for a reply. Its memory is given back when the response is gone."""
    is_large = len(reply.content) >= LARGE_ANSWER_BYTES
    kind = LargeResponse if is_large else Response
    response = kind(reply.content, headers=dict(reply.headers))
    if reply.release is not None:
        weakref.finalize(response, reply.release)
    return response
