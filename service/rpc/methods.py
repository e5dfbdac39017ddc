"""Services and their methods, as the listener serves them.

A service is added in one file with a function `make_service`, and in a row of
`service.rpc.server.SERVICES`. Its interface is in `service/interfaces/`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from service.listening.services import Services
from service.rpc.call import Call


@dataclass(frozen=True)
class Method:
    """Method of a service.

    Attributes:
        answer: function that answers a call with an encoded message. It reads what it needs of the
            call's messages. That of a stream writes its answers to the call, and returns None.
        is_stream: True if there may be several answers, or none.
        is_open: True if calls need no key.
        is_quiet: True if calls are made every few seconds, and neither traced nor logged.
    """

    answer: Callable[[Call], Awaitable[bytes | None]]
    is_stream: bool = False
    is_open: bool = False
    is_quiet: bool = False


@dataclass(frozen=True)
class Service:
    """Service of gRPC.

    Attributes:
        name: full name, such as `inference.GRPCInferenceService`.
        methods: methods by their names.
    """

    name: str
    methods: Mapping[str, Method]

    def list_paths(self) -> list[tuple[str, Method]]:
        """List the methods with their paths, such as `/inference.Service/ModelInfer`."""
        return [(f"/{self.name}/{method}", found) for method, found in self.methods.items()]


MakeService = Callable[[Services], Service]
"""Function that makes a service, given the objects that every listener works with."""
