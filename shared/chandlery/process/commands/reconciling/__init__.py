"""`chandlery reconcile`: after a restore, what service brokers have and the database does not, or the reverse."""
