"""The message bus: one protocol, RabbitMQ behind it and its in-process twin. Nothing else imports an AMQP client."""
