"""Models that can be run, and what is known about them."""
