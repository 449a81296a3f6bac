"""Parameters, and the schemas they are held against. Pure."""
