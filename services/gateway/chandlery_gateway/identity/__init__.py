"""Who asks, and whether they may: authenticators, authorizers, impersonation, access reviews."""
