"""What the repository's own scripts need from the machine: messages, packages, folders, processes.

Standard library only, because these modules run before the virtual environment exists.
"""
