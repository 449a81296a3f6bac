"""Names, kinds, conditions and faults: the words everything else is written in. Imports nothing of ours."""
