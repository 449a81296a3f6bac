"""The site of the documentation: which pages it has, what becomes of their links and diagrams, how it is built."""
