"""Driving a running server as its users would, and measuring it. Needs NumPy alone."""
