"""Objects, their changes, events, owners and ids."""
