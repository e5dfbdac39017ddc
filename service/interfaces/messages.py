"""Messages of the interface files, in a pool of their own. protobuf's only door.

A process can hold two definitions of a message, such as TensorFlow's or a stock client's own, only
in two pools. `make interfaces` compiles the files; a server needs no compiler.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message, message_factory

DESCRIPTORS = Path(__file__).with_name("descriptors.binpb")
"""Compiled interface files."""

DecodeError = message.DecodeError


@cache
def load_pool() -> Any:
    """Load the interface files; a `DescriptorPool`, for reflection."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    return pool


@cache
def find_message(name: str) -> Any:
    """Return the class of a message.

    Args:
        name: full name, such as `inference.ModelInferRequest`.

    Raises:
        KeyError: if no interface file has it.
    """
    return message_factory.GetMessageClass(load_pool().FindMessageTypeByName(name))


def find_methods(service: str) -> dict[str, Any]:
    """Return the descriptors of a service's methods, by their names.

    Raises:
        KeyError: if no interface file has the service.
    """
    return dict(load_pool().FindServiceByName(service).methods_by_name)


def encode(name: str, content: Mapping[str, Any]) -> bytes:
    """Encode a message from its content in the form of JSON.

    Args:
        name: full name of the message.
        content: fields by their names; those that the message lacks are left out.
    """
    made = json_format.ParseDict(
        content, find_message(name)(), ignore_unknown_fields=True, descriptor_pool=load_pool()
    )
    encoded: bytes = made.SerializeToString()
    return encoded
