"""The binder: binds and unbinds, polls both, mitigates orphans, and delivers credentials in Secrets."""
