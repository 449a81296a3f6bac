"""What a decision about a service broker is made from. Plain data."""
