"""The truth: tables, transactions, the change log, the outbox. The only package that imports SQLAlchemy."""
