"""Masked segmentation networks: building, training, scoring and exporting them."""
