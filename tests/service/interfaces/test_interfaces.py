import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool
from tritonclient.grpc import model_config_pb2, service_pb2

from service.interfaces.messages import find_methods, load_pool
from tests.support.rpc import OIP

ROOT = Path(__file__).parents[3]
PACKAGE = "inference"


def list_messages(descriptors):
    for descriptor in descriptors:
        yield descriptor
        yield from list_messages(descriptor.nested_types)


def describe_fields(descriptor):
    """Return number, type, multiplicity and type's name of each field, by its name."""
    return {
        field.name: (
            field.number,
            field.type,
            field.is_repeated,
            field.message_type and field.message_type.full_name,
        )
        for field in descriptor.fields
    }


def list_public():
    """Return the messages of Triton's own files, by their full names."""
    files = [service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR]
    found = [each for file in files for each in list_messages(file.message_types_by_name.values())]
    return {descriptor.full_name: descriptor for descriptor in found}


PUBLIC = list_public()
OURS = list(
    list_messages(load_pool().FindFileByName("inference.proto").message_types_by_name.values())
)


def test_the_compiled_descriptors_are_those_of_the_files():
    command = [sys.executable, str(ROOT / "scripts" / "compile_interfaces.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("ours", OURS, ids=lambda message: message.full_name)
def test_a_message_has_the_public_names_and_numbers(ours):
    public = describe_fields(PUBLIC[ours.full_name])

    assert describe_fields(ours).items() <= public.items()


def test_what_a_request_may_hold_is_all_there():
    for name in ("ModelInferRequest", "ModelInferResponse", "InferTensorContents"):
        ours = load_pool().FindMessageTypeByName(f"{PACKAGE}.{name}")
        assert describe_fields(ours) == describe_fields(PUBLIC[f"{PACKAGE}.{name}"])


@pytest.mark.parametrize("name", find_methods(OIP))
def test_a_method_is_the_public_one(name):
    public = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name[name]
    ours = find_methods(OIP)[name]

    for method in (ours, public):
        assert method.input_type.full_name.startswith("inference.")
    assert ours.input_type.full_name == public.input_type.full_name
    assert ours.output_type.full_name == public.output_type.full_name
    assert ours.client_streaming == public.client_streaming
    assert ours.server_streaming == public.server_streaming


def test_messages_of_others_with_the_same_names_stay_apart():
    default = descriptor_pool.Default().FindMessageTypeByName("inference.ModelInferRequest")

    assert default is service_pb2.ModelInferRequest.DESCRIPTOR
    assert default is not load_pool().FindMessageTypeByName("inference.ModelInferRequest")
