"""Comparing trainings over several seeds: by missing pixels, and by fold."""
