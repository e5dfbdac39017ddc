"""Parts that the listeners for HTTP and gRPC share: keys, limits, sockets, statuses, services."""
