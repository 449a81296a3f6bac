"""Database roles: one for each service, with the grants that its duty needs (PostgreSQL)."""
