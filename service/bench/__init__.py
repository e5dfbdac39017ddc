"""Load generator: sends a server the requests of many users and measures its answers.

Needs the base install alone: NumPy and httpx2.
"""
