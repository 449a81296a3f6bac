"""Secret values are struck out of what others say. Pure."""
