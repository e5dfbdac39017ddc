"""Load generator: sends a server the requests of many users and measures its answers.

Needs NumPy and httpx2 alone.
"""
