"""Tokens of identity providers (OpenID Connect): whose they are, whether they are sound, whom they make of a user."""
