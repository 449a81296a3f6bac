"""The write side: from a request to the transaction that stores an object with its work and its change."""
