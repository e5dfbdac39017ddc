"""Scenes: images of any size, segmented in exact windows."""
