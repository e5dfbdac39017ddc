"""Comparing trainings: scores by pattern and fraction of missing pixels, over several seeds."""
