"""Where RabbitMQ is, how it is reached over TLS, and why it cannot be."""
