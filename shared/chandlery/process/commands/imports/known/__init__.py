"""What is known of old objects among one another, and of what is stored already. Pure."""
