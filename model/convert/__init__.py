"""Ordinary networks of Keras, converted into ones that ignore missing pixels, with their weights.

`features.py` and `geometry.py` say what a map of a converted network is, `rules.py` what becomes of
each layer, `building.py` walks over the network, and `converting.py` has `convert`.
"""

from model.convert.converting import Conversion, convert
from model.convert.features import ConversionError
from model.convert.folding import fold

__all__ = ["Conversion", "ConversionError", "convert", "fold"]
