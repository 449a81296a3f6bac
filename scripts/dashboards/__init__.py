"""Dashboards as data, and what makes Grafana's JSON of them; `write_dashboards.py` writes the files."""
