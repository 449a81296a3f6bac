"""What the head of a request says: options, selectors, the form of the answer. Pure."""
