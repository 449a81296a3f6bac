"""What a decision about an instance is made from, and what it may be: snapshot, notes, actions. Plain data."""
