"""Rules for what says who may do what: roles, their bindings, service accounts."""
