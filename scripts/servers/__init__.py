"""Private PostgreSQL and RabbitMQ servers for tests and benchmarks, one pair per name and checkout."""
