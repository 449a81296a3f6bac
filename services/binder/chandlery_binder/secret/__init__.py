"""The Secret of a binding: what is in it, and how it is written and restored."""
