"""Keeps account of every request: what the pipeline tells, what is kept of it, and where."""
