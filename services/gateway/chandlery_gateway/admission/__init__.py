"""What may be stored and what is filled in before: pure rules, one `KindRules` for each kind.

The way in, and what has to be looked up (default plan, plan changes that a class forbids), is in `catalog`.
"""
