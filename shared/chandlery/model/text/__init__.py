"""Names, durations, versions, and texts that are fit to be shown."""
