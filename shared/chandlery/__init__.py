"""The vocabulary and the adapters that Chandlery's four services have in common, one layer per folder."""
