"""Polygons of vector files, read by place and burnt into the grids of rasters."""
