"""The Kubernetes API machinery as pure functions: bodies in, documents out. No I/O, no web framework, no store."""
