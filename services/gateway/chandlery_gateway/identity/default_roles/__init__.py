"""The roles that come with Chandlery: what they are, and how they are made and kept at the start of a gateway."""
