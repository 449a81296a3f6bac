"""Calls to service brokers that fail or want few of them: circuits and rate limits, kept in step between processes."""
