"""Where service brokers may be: addresses, spellings of hosts, lists of rules. Pure; nothing is looked up here."""
