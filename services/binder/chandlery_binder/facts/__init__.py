"""What a decision about a binding is made from, and what it may be: snapshot, notes, actions. Plain data."""
