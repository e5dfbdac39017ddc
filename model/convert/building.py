"""The walk over a network that builds the converted one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras

from model.convert.features import (
    OWN_NAMES,
    UNKNOWN,
    ConversionError,
    Features,
    Masks,
    Unsupported,
)
from model.convert.geometry import Grid
from model.convert.operators import find_layer
from model.convert.reasons import STATISTICS, explain
from model.convert.rules import ALLOWED, RULES, Rule


class Builder:
    """Builder of a converted network.

    Args:
        masks: of the canvas.
        allow: names or classes of layers that may take statistics over the valid pixels.

    Attributes:
        masks: the same.
        refusals: descriptions of the layers that cannot be converted.
        notes: descriptions of the layers that were allowed.
        is_unlimited: whether a pixel's scores depend on the whole image.
    """

    def __init__(self, masks: Masks, allow: Collection[str] = ()) -> None:
        self.masks, self._allow = masks, allow
        self.refusals: list[str] = []
        self.notes: list[str] = []
        self._used: set[str] = set()
        self.is_unlimited = False
        self._layers: dict[tuple[int, str], Any] = {}
        self._operators: dict[int, Any] = {}
        self._taken = set(OWN_NAMES)

    def apply(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """Convert an operation: the features that it makes of others."""
        if isinstance(operation, keras.Sequential):
            operation = operation._functional  # noqa: SLF001 (Keras has no other)
        if isinstance(operation, keras.Model):
            return self.walk(operation, keras.tree.flatten(args))
        values = keras.tree.flatten([args, kwargs])
        inputs: list[Any] = [
            value for value in values if isinstance(value, Features) or value is UNKNOWN
        ]
        try:
            operation, rule = self._find_rule(operation, values)
            if UNKNOWN in inputs:
                return UNKNOWN
            made = rule(self, operation, inputs)
            # At once, so that all that reads it is masked once, and can be fused with it.
            return self.masks.clean(made) if made.is_positive else made
        except (Unsupported, TypeError, ValueError) as reason:  # Keras raises the latter two
            line = str(reason).partition("\n")[0]
            self.refusals.append(f"{operation.name} ({type(operation).__name__}): {line}")
            return UNKNOWN

    def walk(self, network: Any, inputs: Sequence[Any]) -> Any:
        """Convert a functional network, or one inside another.

        Raises:
            ConversionError: if it is neither functional nor sequential.
        """
        if not hasattr(network, "_run_through_graph"):
            raise ConversionError(
                f"a network must be functional or sequential; {network.name} is a "
                f"{type(network).__name__}, whose layers are called by code of its own"
            )
        return network._run_through_graph(  # noqa: SLF001 (Keras has no other)
            list(inputs), operation_fn=lambda operation: operation, call_fn=self.apply
        )

    def _find_rule(self, operation: Any, values: list[Any]) -> tuple[Any, Rule]:
        """Return the layer to convert and its rule."""
        kind, module = type(operation).__name__, type(operation).__module__
        if not module.startswith("keras."):
            raise Unsupported("its class is not one of Keras")
        if not isinstance(operation, keras.layers.Layer):
            # Kept, because layers that stand for operations are told apart by their identity.
            layer = self._operators.setdefault(id(operation), find_layer(operation, values))
            return layer, RULES[type(layer).__name__]
        if getattr(operation, "data_format", "channels_last") == "channels_first":
            raise Unsupported("its channels come first")
        if kind in ALLOWED:
            told = {operation.name, kind} & set(self._allow)
            if not told:
                raise Unsupported(STATISTICS)
            self._used |= told
            self.notes.append(f"{operation.name} ({kind}): statistics over valid pixels")
            return operation, ALLOWED[kind]
        if kind not in RULES:
            raise Unsupported(explain(kind))
        return operation, RULES[kind]

    def check_allowed(self) -> None:
        """Check that each name that is allowed something needs it.

        Raises:
            ConversionError: if one is of no layer that does.
        """
        idle = sorted(set(self._allow) - self._used)
        if idle:
            raise ConversionError(
                f"what is allowed must be the name or the class of a layer that takes statistics "
                f"over the image; {', '.join(idle)} is none"
            )

    def name(self, operation: Any, suffix: str = "") -> str:
        """Return a name for a new layer that stands for an operation: its own, if it is free.

        An operation that is called several times may become several layers.
        """
        first = name = f"{operation.name}{suffix}"
        number = 1
        while name in self._taken:
            number += 1
            name = f"{first}_{number}"
        self._taken.add(name)
        return name

    def make(
        self, operation: Any, make: Callable[[], Any], weights: Sequence[Any], inputs: Any
    ) -> Any:
        """Call the layer that stands for an operation, made with its weights if it is new."""
        layer = make()
        # One for each window: a shared layer may stand at different phases.
        config = {**layer.get_config(), "name": ""}
        layer = self._layers.setdefault((id(operation), repr(config)), layer)
        y = layer(inputs)
        layer.set_weights(weights)
        return y

    def copy(self, layer: Any, inputs: Any) -> Any:
        """Call a copy of a layer, with its weights."""
        key = id(layer), ""
        if key not in self._layers:
            copied = type(layer).from_config({**layer.get_config(), "name": self.name(layer)})
            if layer.get_weights():
                copied.build(inputs.shape)
                copied.set_weights(layer.get_weights())
                if hasattr(copied, "finalize_state"):
                    copied.finalize_state()
            self._layers[key] = copied
        return self._layers[key](inputs)

    def mark_unlimited(self, grid: Grid) -> Grid:
        """Note that what follows depends on the whole image."""
        self.is_unlimited = True
        return grid
