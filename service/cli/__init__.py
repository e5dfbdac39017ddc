"""Commands that the server adds to `lacuna`: serve, check, bench and config (`pyproject.toml`)."""
