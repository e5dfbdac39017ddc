"""Dialect of platforms that have one route for all requests: SageMaker and Vertex AI."""
