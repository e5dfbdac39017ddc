"""What a training yielded, as one HTML file that needs nothing else."""
