"""What settings are called, and were called."""
