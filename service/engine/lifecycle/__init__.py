"""Models and their versions: found, loaded, checked, warmed, swapped and unloaded."""
