"""The command line `chandlery`."""
