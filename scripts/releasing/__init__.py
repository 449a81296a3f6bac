"""How a release is made: the version everywhere, what is built, sums, signatures: `release.py`, `version.py`."""
