"""Reports of trainings and comparisons, each in one self-contained file."""
