"""Settings: environment variables and a file. Values that every floor may read."""
