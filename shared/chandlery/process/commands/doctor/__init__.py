"""`chandlery doctor`: looks at an installation from where it runs, changes nothing, and says what helps."""
