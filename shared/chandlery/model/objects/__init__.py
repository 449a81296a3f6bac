"""The kinds and their parts: metadata, conditions, reasons."""
