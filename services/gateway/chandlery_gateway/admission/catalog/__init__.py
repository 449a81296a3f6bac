"""Admission as a whole, and those of its rules that look things up: namespaces, classes, plans, schemas."""
