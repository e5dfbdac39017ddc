"""Life of a model version: discovery, loading, contract check, warm-up, swap and unloading."""
