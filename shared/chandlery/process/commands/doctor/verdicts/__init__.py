"""What to think of what was found: pure functions from facts to results."""
