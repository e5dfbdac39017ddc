"""Interface files of the gRPC services, and their messages."""
