"""Work spread over a Ray cluster, and the server as an application of Ray Serve."""
