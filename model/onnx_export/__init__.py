"""Export of a network to ONNX: a graph of nodes, and how each layer is written as some of them."""
