"""Which path and verb leads where: objects, reviews, documents."""
