"""The read side: one object, or a list that shows one moment."""
