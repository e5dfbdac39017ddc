"""Images to learn from, their labels and their missing pixels."""
