"""`chandlery version`: what is installed here, and what it was made from."""
