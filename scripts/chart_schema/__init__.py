"""The schema of the chart's values, as far as it is generated."""
