from model.layers import PartialConv2D
from model.layers.convolution import PartialArguments


def test_the_declared_arguments_and_a_layers_own_are_its_configuration():
    own = {"filters", "kernel_size", "strides", "groups"}

    assert PartialConv2D(1, 3).get_config().keys() == PartialArguments.__optional_keys__ | own
