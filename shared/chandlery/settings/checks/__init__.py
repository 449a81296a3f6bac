"""What a setting names and can be wrong by itself."""
