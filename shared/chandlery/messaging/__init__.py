"""The message bus: one protocol, RabbitMQ or an in-process bus behind it. Nothing else imports an AMQP client."""
