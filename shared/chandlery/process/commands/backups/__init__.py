"""`chandlery backup`, `restore` and `move-database`: the whole database, copied."""
