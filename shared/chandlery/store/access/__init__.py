"""Who may do what, as far as the database has it: rules, what cluster roles gather, tokens of service accounts."""
