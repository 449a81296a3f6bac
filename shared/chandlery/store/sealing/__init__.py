"""Encryption of what must not stand in the database in plain text."""
