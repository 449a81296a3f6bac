"""What the database and the records know, and what service brokers say of it."""
