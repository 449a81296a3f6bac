"""What to do about a service broker, a namespace that is to go, an object without owners. Pure."""
