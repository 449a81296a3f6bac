"""The ways to know a user: static tokens, service-account tokens, tokens of identity providers, client certificates."""
