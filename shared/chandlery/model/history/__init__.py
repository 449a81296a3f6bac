"""What was done about instances and bindings at their service brokers, as plain data."""
