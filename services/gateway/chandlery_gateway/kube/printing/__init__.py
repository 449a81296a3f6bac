"""What clients print: tables and `Status` objects. Pure."""
