"""Description of the HTTP interface as an OpenAPI document."""
