"""`chandlery token`: the tokens of service accounts, by hand."""
