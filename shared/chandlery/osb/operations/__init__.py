"""Requests as values, and their HTTP calls."""
