"""Protocols: headers and bytes to requests, results to headers and bytes. No web framework."""
