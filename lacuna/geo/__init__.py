"""Rasters with a georeference, and polygons: the one door to GDAL."""
