"""Training images, their labels and their missing pixels."""
