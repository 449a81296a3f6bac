"""What a process tells of itself: which metrics there are, and where they go."""
