"""The syncer: turns catalogs of service brokers into classes and plans, and empties namespaces that are to go."""
