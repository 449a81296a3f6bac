"""Rules of the operation history that both workers share."""
