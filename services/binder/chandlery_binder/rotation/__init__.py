"""Credentials that replace others, and operations beside a binding that stays ready. Pure."""
