"""The engine of this process, for commands and for workers of a cluster."""
