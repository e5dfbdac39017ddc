"""Adoption of segmentation networks that were made elsewhere.

source       a network as its file describes it ← keras_files, saved_models, onnx_files
layout       where its channels, rows and columns are
measuring    its resolution, total stride, receptive radius, and the range of its outputs
meaning      what its outputs are
wrapping     the graph around it, of TensorFlow; onnx_wrapping, of ONNX
adopting     the steps in their order
"""
