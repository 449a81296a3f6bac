"""The table of the audit log."""
