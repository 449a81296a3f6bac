"""What may be stored and what is filled in before: pure rules per kind; `rules` is the way in.

Rules that need to look something up (default plan, plan changes that a class forbids, access to Secrets) are not here.
"""
