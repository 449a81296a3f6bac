"""Trying again, in two very different ways: within seconds inside one call, and by a schedule kept in the database."""
