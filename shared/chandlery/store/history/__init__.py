"""The table of the operation history."""
