"""Logging for people and for machines."""
