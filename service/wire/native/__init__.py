"""The service's own protocol: `POST /v1/segment`."""
