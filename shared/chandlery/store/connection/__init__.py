"""Opening a database, PostgreSQL or SQLite, and whether it works."""
