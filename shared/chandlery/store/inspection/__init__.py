"""What the database tells of itself and of the work in it, read without changing anything. For `chandlery doctor`."""
