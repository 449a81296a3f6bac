"""Watches: the change log, followed once for all, and the lines that each client gets."""
