"""What is due, who works on it, who waits for what, and the messages about it."""
