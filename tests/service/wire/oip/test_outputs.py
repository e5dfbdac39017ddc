import pytest

from lacuna.errors import MalformedRequestError
from service.wire.oip.outputs import DEFAULT_OUTPUTS, RequestedOutput, read_outputs

ALL = ["labels", "probabilities", "confidence", "support"]


def read(*outputs, **parameters):
    return read_outputs({"outputs": list(outputs)}, parameters)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(("setting", "expected"), [("all", ALL), ("labels", ["labels"])])
def test_a_request_that_names_no_output_gets_what_the_setting_says(setting, expected, binary):
    parameters = {"binary_data_output": binary}
    outputs = [RequestedOutput(name, binary) for name in expected]

    for content in ({}, {"outputs": []}, {"outputs": None}):
        assert read_outputs(content, parameters, DEFAULT_OUTPUTS[setting]) == outputs


def test_a_request_that_names_no_output_gets_all_of_them():
    assert read() == [RequestedOutput(name, binary=False) for name in ALL]


def test_outputs_come_in_the_order_in_which_they_are_named():
    assert [output.name for output in read({"name": "probabilities"}, {"name": "labels"})] == [
        "probabilities",
        "labels",
    ]


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("here", [True, False])
def test_what_is_said_of_one_output_goes_before_what_is_said_of_all(everywhere, here):
    named = {"name": "labels", "parameters": {"binary_data": here}}

    assert read(named, binary_data_output=everywhere)[0].binary is here
    assert read({"name": "labels"}, binary_data_output=everywhere)[0].binary is everywhere


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"name": "scores"}, "one of labels, probabilities, confidence, support; it is .*scores"),
        ({"name": ["labels"]}, "one of labels, probabilities"),
        ({}, "one of labels, probabilities"),
        ("labels", "one of labels, probabilities"),
        ({"name": "labels", "parameters": {"classification": 3}}, "classification is not support"),
        ({"name": "labels", "parameters": {"shared_memory_region": "x"}}, "is not supported"),
        ({"name": "labels", "parameters": {"binary_data": 1}}, "true or false; it is of type int"),
        ({"name": "labels", "parameters": 1}, "parameters of an output must be an object"),
    ],
)
def test_an_output_that_cannot_be_had_is_refused(output, message):
    with pytest.raises(MalformedRequestError, match=message):
        read(output)


def test_an_output_that_is_named_twice_is_refused():
    with pytest.raises(
        MalformedRequestError, match="must name each output once; it names labels, labels"
    ):
        read({"name": "labels"}, {"name": "labels"})
