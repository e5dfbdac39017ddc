"""Protocols: parsing of requests and rendering of answers, without a web framework."""
