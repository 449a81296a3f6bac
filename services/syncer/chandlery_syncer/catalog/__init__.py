"""From a catalog to the classes and plans that are stored."""
