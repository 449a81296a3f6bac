"""What a process measures of itself, beside its work, for the metrics."""
