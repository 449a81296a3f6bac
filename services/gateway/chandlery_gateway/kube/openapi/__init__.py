"""Discovery and the OpenAPI documents. Pure."""
