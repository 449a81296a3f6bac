"""What brokers and operators may ask for in a specification: limits, restrictions, selectors. Pure."""
