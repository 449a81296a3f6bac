"""Listening: sockets, limits, TLS, probes."""
