"""Traces: which spans there are, how they are continued elsewhere, and where they go."""
