"""Access tokens by OAuth 2.0's client credentials: got at a token endpoint, kept until shortly before they expire."""
