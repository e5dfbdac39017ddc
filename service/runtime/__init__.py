"""Runtimes that run models, the manifest of a model, and the contract check."""
