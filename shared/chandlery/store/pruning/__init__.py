"""What is taken away because it is old, too much, or left of something that is gone."""
