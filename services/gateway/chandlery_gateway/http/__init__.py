"""Requests on their way in and out, of whatever kind: seats, bodies, compression, rendering."""
