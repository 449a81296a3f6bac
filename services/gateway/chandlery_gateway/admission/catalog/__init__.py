"""Rules of admission that look things up: namespaces, classes, plans, schemas."""
