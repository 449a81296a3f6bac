"""One process from start to end: composition, readiness, shutdown."""
