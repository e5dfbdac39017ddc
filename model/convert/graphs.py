"""Networks as graphs: who reads what, and the same graph with other operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class Readers:
    """Operations that read what others make.

    Args:
        network: functional.
    """

    def __init__(self, network: keras.Model) -> None:
        self._readers: dict[int, list[Any]] = {id(tensor): [None] for tensor in network.outputs}
        self._uses: dict[int, list[Any]] = {}
        for nodes in network._nodes_by_depth.values():  # noqa: SLF001 (Keras has no other)
            for node in nodes:
                self._uses.setdefault(id(node.operation), []).append(node)
                for tensor in node.input_tensors:
                    self._readers.setdefault(id(tensor), []).append(node.operation)

    def before(self, operation: Any) -> Any:
        """Return the operation that makes the first input of another."""
        (node, *_) = self._uses[id(operation)]
        return node.input_tensors[0]._keras_history.operation  # noqa: SLF001

    def after(self, operation: Any) -> Any:
        """Return the only reader of an operation, if both are used once; else None."""
        nodes = self._uses.get(id(operation), [])
        readers = self._readers.get(id(nodes[0].outputs[0]), []) if len(nodes) == 1 else []
        if len(readers) != 1 or len(self._uses.get(id(readers[0]), [])) != 1:
            return None
        return readers[0]


def remake(network: keras.Model, call: Any) -> keras.Model:
    """Return the network that other calls make of the operations of this one."""
    return keras.Model(network.inputs, replay(network, call, network.inputs), name=network.name)


def replay(network: keras.Model, call: Any, inputs: Sequence[Any]) -> Any:
    """Return the outputs that other calls make of the operations of a network.

    Args:
        network: functional.
        call: called with each operation and its arguments, in its place.
        inputs: in place of the network's own.
    """
    return network._run_through_graph(  # noqa: SLF001 (Keras has no other)
        inputs, operation_fn=lambda operation: operation, call_fn=call
    )
