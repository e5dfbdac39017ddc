"""Masked segmentation networks: building, training, scoring and exporting them."""

import os

# On processors without AVX-512 TensorFlow uses oneDNN only if it is told to (docs/decisions/0044).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
