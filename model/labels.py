"""Labels with a meaning of their own."""

IGNORE_LABEL = 255
"""The label of a pixel that is invalid, or whose class is unknown."""
