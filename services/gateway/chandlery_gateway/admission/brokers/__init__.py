"""Rules for service brokers. Pure."""
