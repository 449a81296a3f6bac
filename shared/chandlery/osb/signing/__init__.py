"""Signed contexts: a broker can tell that a context was made by this platform, and for which instance."""
