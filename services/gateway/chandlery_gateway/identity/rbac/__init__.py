"""Who may do what by roles: what they hold is kept in memory, and a request is looked up in it."""
