"""Kinds that are seen or answered but not stored, and the list of all that are served. Pure."""
